"""A recipe with the paths that plug-ins take made absolute."""

from pathlib import Path
from typing import Any

from vlobjectives.errors import PluginError
from vlobjectives.recipe.checks_names import entries
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.registry import Registry


def resolved(loaded: Loaded, registry: Registry) -> Loaded:
    """The recipe as a run folder holds it: running it again, from any folder, is the same run.

    Options that a Config marks with `json_schema_extra={"path": True}`, and `weights` that begin with a dot or ~,
    become absolute, counted from the folder of the file that they are written in. A plug-in that does not load is
    left alone: stage `names` says so.
    """
    values: dict[KeyPath, Any] = {}
    for path, kind, entry in entries(loaded.recipe):
        try:
            config = registry.get(kind, entry.type).Config
        except PluginError:
            continue
        for name, field in config.model_fields.items():
            value, extra = entry.options.get(name), field.json_schema_extra
            path_like = name == "weights" and str(value).startswith((".", "~"))  # else a name in a hub
            if isinstance(value, str) and (path_like or (isinstance(extra, dict) and extra.get("path"))):
                values[*path, name] = str((loaded.base(*path, name) / Path(value).expanduser()).resolve())
    return loaded.replaced(values) if values else loaded
