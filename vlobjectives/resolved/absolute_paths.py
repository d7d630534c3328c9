"""A recipe with the paths that plug-ins take made absolute."""

import os
from collections.abc import Iterator
from typing import Any

from vlobjectives.contracts.config import Config
from vlobjectives.contracts.paths import paths, places
from vlobjectives.errors import PluginError
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.report import Report
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.registry import Registry
from vlobjectives.resolved.entries import add_files, entries
from vlobjectives.resolved.inherited import fitted


def absolute(loaded: Loaded, registry: Registry) -> Loaded:
    """The recipe as a run folder holds it: running it again, from any folder, is the same run.

    What was written for other plug-ins than it names is left out (`inherited`).
    Options that a Config says to be paths become absolute, counted from the folder of the file that they are written
    in (on the command line from the working folder). Links stay what they are: what lies beside one is not what lies
    beside its target. A plug-in that does not load is left alone: stage `names` says so.
    """
    values: dict[KeyPath, Any] = {}
    loaded = fitted(loaded, registry)
    for path, kind, value in named(loaded.recipe, registry):
        if "\0" in value:
            continue  # no path: who reads it says so
        written = os.path.expanduser(value)
        place = os.path.join(loaded.base(*path), written)
        if kind == "or name" and not value.startswith((".", "~")) and not os.path.exists(place):
            if not os.path.exists(written):
                continue  # a name in a hub
            place = written  # who reads it would take what lies there for the name's: then for good
        values[path] = os.path.abspath(place)
    return loaded.replaced(values) if values else loaded


def taken_in(loaded: Loaded, registry: Registry) -> Loaded:
    """The recipe with absolute paths, its plug-in files taken in. Raises Refused where one cannot be."""
    report = Report()
    add_files(loaded, registry, report)
    report.refuse()
    return absolute(loaded, registry)


def named(recipe: Recipe, registry: Registry) -> Iterator[tuple[KeyPath, Any, str]]:
    """Key path, kind and value of every option that is a path."""
    for path, config, entry in _configs(recipe, registry):
        for inner, of in paths(config, entry.options):
            value: Any = entry.options
            for part in inner:
                value = value[part]
            yield (*path, *inner), of, value


def data_paths(recipe: Recipe, registry: Registry) -> set[str]:
    """The dotted names of the options that say where data lies."""
    found = {path for path, _, _ in named(recipe, registry)} | {
        (*path, name) for path, config, entry in _configs(recipe, registry) for name in places(config, entry.options)
    }
    return {".".join(map(str, path)) for path in found if path[0] == "data"}


def _configs(recipe: Recipe, registry: Registry) -> Iterator[tuple[KeyPath, type[Config], Any]]:
    """Where each entry stands, its plug-in's Config and itself; a plug-in that does not load is left out."""
    for path, kind, entry in entries(recipe):
        try:
            yield path, registry.get(kind, entry.type).Config, entry
        except PluginError:
            continue
