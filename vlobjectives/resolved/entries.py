"""Stage `names`: every plug-in that a recipe names exists and loads, and its Config takes the options as written."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlobjectives.contracts.config import Config
from vlobjectives.errors import Place, PluginError, Problem
from vlobjectives.plugin_loading.instantiate import config_of
from vlobjectives.plugin_loading.load import reason_of, where_raised
from vlobjectives.plugin_loading.side_effects import contained
from vlobjectives.recipe import hints, known_keys, synonyms
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import Entry, Recipe, source_path
from vlobjectives.recipe.report import Report
from vlobjectives.recipe.schema import _must, _path, _shown, as_meant
from vlobjectives.recipe.yaml import KeyPath, dotted
from vlobjectives.registry import Registry

SECTIONS = {
    "fields": "reader",
    "model": "part",
    "masks": "mask",
    "pairings": "pairing",
    "objectives": "objective",
    "trackers": "tracker",
}
SECTION = {
    "input": "inputs",
    "mask": "masks",
    "pairing": "pairings",
    "part": "model",
    "objective": "objectives",
    "field": "fields",
}
STAGE = "names"


@dataclass(frozen=True)
class Named:
    """An entry of a recipe, its plug-in and its options, read."""

    kind: str
    entry: Entry
    cls: type[Any]
    config: Config

    @property
    def sources(self) -> Sequence[str] | None:
        """The sources of a mix that the entry is for; None where it names none."""
        named: Sequence[str] | None = getattr(self.entry, "sources", None)
        return named


def entries(recipe: Recipe) -> Iterator[tuple[KeyPath, str, Entry]]:
    """Key path, kind and entry of everything in a recipe that a plug-in brings."""
    for name, source in recipe.sources.items():
        yield source_path(name), "source", source
    for section, kind in SECTIONS.items():
        for name, entry in getattr(recipe, section).items():
            yield (section, name), kind, entry
    if recipe.balance is not None:
        yield ("balance",), "balancer", recipe.balance
    for name, entry in recipe.evaluate.entries.items():
        yield ("evaluate", name), "evaluation", entry


def add_files(loaded: Loaded, registry: Registry, report: Report) -> bool:
    """Takes in the plug-in files that a recipe names; whether all could be, and all that is left out is there."""
    broken = []
    for number, path in enumerate(loaded.recipe.plugins):
        try:
            registry.add_file(path, loaded.own("plugins", number))
        except PluginError as error:
            broken.append(loaded.problem(("plugins", number), _with_place(error), error.hint))
    idle = [
        Problem(
            Place(fault.distribution),
            f"-p {fault.name}",
            fault.reason,
            "no:PLUG-IN, or no:KIND:NAME of a component; `vlobj plugins` lists them",
        )
        for fault in registry.faults
        if fault.name.startswith("no:")
    ]
    report.add(
        STAGE,
        [
            loaded.problem(("plugins", number), effect, "take it out of the file", note=True)
            for number, path in enumerate(loaded.recipe.plugins)
            for effect in registry.effects.get(Path(path).resolve(), ())
        ],
    )
    return report.add(STAGE, broken, PluginError.code) and report.add(STAGE, idle)


def names(
    loaded: Loaded,
    registry: Registry,
    report: Report,
    all_files: bool = True,
    known: Mapping[KeyPath, Named] | None = None,
    evaluations: bool = True,
) -> dict[KeyPath, Named]:
    """Every entry with its plug-in, but those that have none and those whose options their Config refuses.

    all_files  whether every plug-in file could be taken in; what one that could not would have brought is not told
    known      entries of an earlier form of the recipe: one whose options are the same keeps its Config
    evaluations  False: those are left out
    """
    found: dict[KeyPath, Named] = {}
    unknown: list[Problem] = []
    faults: list[Problem] = []
    for path, kind, entry in entries(loaded.recipe):
        if report.wrong(*path, "type") or (kind == "evaluation" and not evaluations):  # the entry as a whole
            continue
        if (before := (known or {}).get(path)) is not None and _written(before.entry) == _written(entry):
            found[path] = replace(before, entry=entry)
            continue
        try:
            registry.component(kind, entry.type)
        except PluginError as error:
            unknown += [_unknown(loaded, path, error)] if all_files else []
            continue
        try:
            cls = registry.get(kind, entry.type)
        except PluginError as error:
            faults.append(_at_type(loaded, path, _with_place(error), error.hint))
            continue
        try:
            with contained(dotted(path)):
                config = config_of(cls, entry.options)
        except ValidationError as error:
            unknown += refused(loaded, path, entry.options, cls, error)
            if (spared := _spared(kind, entry, cls, error)) is not None:
                found[path] = spared
        except Exception as error:  # a plug-in's own validators
            place = where_raised(error)
            faults.append(
                _at_type(
                    loaded,
                    path,
                    f"its Config fails: {reason_of(error)}" + (f" ({place})" if place else ""),
                    "correct the plug-in",
                )
            )
        else:
            found[path] = Named(kind, entry, cls, config)
    report.add(STAGE, unknown)
    report.add(STAGE, faults, PluginError.code)
    return found


def _written(entry: Entry) -> str:
    """An entry's type and options as text, in which 1 and true differ."""
    return json.dumps([entry.type, entry.options])


def _spared(kind: str, entry: Entry, cls: type[Any], error: ValidationError) -> Named | None:
    """An entry without keys that nobody knows, a source without whatever it could not take; None where it needs them.

    What an option should have been is open, so that of other kinds an entry with such an option, or with a misspelt
    one, is left out; and so is a part, on which much is built.
    """
    errors = error.errors(include_url=False)
    wrong = {one["loc"][0] for one in errors if one["loc"]}
    if kind != "source" and (
        kind == "part"
        or any(
            one["type"] != "extra_forbidden"
            or len(one["loc"]) > 1
            or get_close_matches(str(one["loc"][0]), known_keys.fields(cls.Config), 1)
            for one in errors
        )
    ):
        return None
    options = {key: value for key, value in entry.options.items() if key not in wrong}
    try:
        config = config_of(cls, options)
    except ValidationError:
        return None
    host = {key: value for key, value in entry if key in type(entry).model_fields}
    less = type(entry).model_construct(_fields_set=entry.model_fields_set - wrong, **host, **options)
    return Named(kind, less, cls, config)


def refused(
    loaded: Loaded, path: KeyPath, options: Mapping[str, Any], cls: type[Any], error: ValidationError
) -> list[Problem]:
    """What a Config refuses, each at its line; an unknown key with the nearest known one."""
    found: dict[KeyPath, list[Any]] = {}
    for one in error.errors(include_url=False):
        found.setdefault(_path(one, options), []).append(one)
    # of a union pydantic reports every member: what fails inside one says more than that the whole is no other
    deepest = [inner for inner in found if not any(inner == other[: len(inner)] != other for other in found)]
    here = [*(field.alias or name for name, field in cls.Config.model_fields.items()), *known_keys.keys(path)]
    nearest = {
        near
        for inner in deepest
        if found[inner][0]["type"] == "extra_forbidden"
        for near in get_close_matches(str(inner[-1]), here, 1)
    }
    return [
        _refused(loaded, path, inner, found[inner], options, cls, here)
        for inner in deepest
        if not (found[inner][0]["type"] == "missing" and inner[-1] in nearest)
    ]


def _refused(
    loaded: Loaded,
    path: KeyPath,
    inner: KeyPath,
    errors: list[Any],
    options: Mapping[str, Any],
    cls: type[Any],
    here: list[str],
) -> Problem:
    first, whole = errors[0], (*path, *inner)
    if first["type"] == "missing":
        field = cls.Config.model_fields.get(str(inner[-1]))
        meaning = field.description if field is not None and field.description else "it has no default"
        return loaded.problem(whole, f"the key '{inner[-1]}' is missing", f"give it: {meaning}", key=True)
    if first["type"] == "extra_forbidden":
        hint = "leave it out" if len(inner) > 1 else synonyms.key(whole, here) or f"keys here: {', '.join(here)}"
        return loaded.problem(whole, f"there is no key '{inner[-1]}' here", hint, key=True)
    if first["type"] == "value_error":
        return loaded.problem(
            whole,
            first["msg"].removeprefix("Value error, "),
            f"see `vlobj plugins {path[-1]}`" if not inner else _fitting(loaded, cls, inner, None),
        )
    value: Any = options
    for part in inner:
        value = value[part]
    wanted = list(dict.fromkeys(_must(one) for one in errors))
    return loaded.problem(
        whole,
        f"{_shown(value)} must be {' or '.join(wanted)}",
        as_meant(value, errors) or _fitting(loaded, cls, inner, value),
    )


def _fitting(loaded: Loaded, cls: type[Any], inner: KeyPath, value: Any) -> str:
    """The line with a value that the Config takes."""
    defined = {kind: list(getattr(loaded.recipe, section)) for kind, section in SECTION.items()}
    return hints.line(cls.Config, inner, value, defined) or "give a value of this kind"


def _unknown(loaded: Loaded, path: KeyPath, error: PluginError) -> Problem:
    written = (*path, "type") in loaded.layered.spots
    hint = error.hint if written else f"{error.hint}; `type` says which plug-in it is where the name does not"
    return _at_type(loaded, path, error.what, hint)


def _at_type(loaded: Loaded, path: KeyPath, what: str, hint: str) -> Problem:
    """A problem with an entry's `type`, or with its name where that stands for the type."""
    if (*path, "type") in loaded.layered.spots:
        return loaded.problem((*path, "type"), what, hint)
    return loaded.problem(path, what, hint, key=True)


def _with_place(error: PluginError) -> str:
    return f"{error.what} ({error.place})" if error.place else error.what
