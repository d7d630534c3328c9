"""A recipe with the paths that plug-ins take made absolute."""

import os
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
    become absolute, counted from the folder of the file that they are written in; a list becomes so one by one. Links
    stay what they are: what lies beside one is not what lies beside its target. A plug-in that does not load is left
    alone: stage `names` says so.
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
            if value and (path_like or (isinstance(extra, dict) and extra.get("path"))):
                base = loaded.base(*path, name)
                if isinstance(value, str):
                    values[*path, name] = _absolute(base, value)
                elif isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
                    values[*path, name] = [_absolute(base, one) for one in value]
    return loaded.replaced(values) if values else loaded


def _absolute(base: Path, written: str) -> str:
    return os.path.abspath(base / Path(written).expanduser())
