"""Options that a recipe below wrote for another type, and options over which null was written: what the plug-in that an
entry has now does not take falls away.

An option stays where the new type has one of its name and takes its value; keys of the host stay in any case. What was
written beside the new type, or above it, was written for it: where it does not fit, that is an error.
"""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from pydantic import ValidationError

from vlobjectives.errors import PluginError, Problem
from vlobjectives.plugin_loading.instantiate import config_of
from vlobjectives.plugin_loading.side_effects import contained
from vlobjectives.recipe import hints, known_keys
from vlobjectives.recipe.layers import Layered, Retyped
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.schema import _must, _path
from vlobjectives.recipe.yaml import KeyPath, dotted
from vlobjectives.registry import Registry
from vlobjectives.resolved.entries import entries

KEYS = 12
"""Keys of a type that a note lists."""
Fallen = tuple[KeyPath, str]
"""What falls away: where below its entry, and what the type takes in its place, empty where it has no such key."""


def fitted(loaded: Loaded, registry: Registry) -> Loaded:
    """The recipe without what its plug-ins do not take of what layers below wrote, and with a note for each entry.

    What does not load is left alone, as stage `names` says so.
    """
    layered = loaded.layered
    gone: list[KeyPath] = []
    notes: list[Problem] = []
    for path, kind, entry in entries(loaded.recipe) if layered.retyped or layered.nulls else ():
        nulls = [one[len(path) :] for one in layered.nulls if one[: len(path)] == path]
        retyped = layered.retyped.get(path)
        try:
            cls = registry.get(kind, entry.type) if nulls or retyped else None
        except PluginError:
            continue
        if cls is None:
            continue
        options = deepcopy(entry.options)
        for one in nulls:
            if _stands(options, one) and not known_keys.takes_null(one, cls.Config):
                _delete(options, one)
                gone.append((*path, *one))
        if retyped is not None and (fallen := list(_misfits(layered, path, options, cls, retyped))):
            gone += [(*path, *inner) for inner, _ in fallen]
            notes.append(_note(loaded, path, list(options), cls, retyped, fallen))
    return loaded.without(gone, notes) if gone else loaded


def _misfits(
    layered: Layered, path: KeyPath, options: dict[str, Any], cls: type[Any], retyped: Retyped
) -> Iterator[Fallen]:
    """Takes what is inherited out of `options` and is refused, until nothing of that is; gives it."""
    more = True
    while more:
        more = False
        try:
            with contained(dotted(path)):
                config_of(cls, options)
        except ValidationError as error:
            refused = [(_path(one, options), one) for one in error.errors(include_url=False)]
        except Exception:  # a plug-in's own validators: stage `names` says so
            return
        else:
            return
        for inner, one in sorted(refused, key=lambda each: -len(each[0])):
            missing, lacks = one["type"] == "missing", one["type"] == "extra_forbidden"
            for part in _inherited(layered, path, options, inner[:-1] if missing else inner, retyped, missing):
                _delete(options, part)
                more = True
                yield part, "" if lacks else "other keys" if missing else _must(one)


def _inherited(
    layered: Layered, path: KeyPath, options: dict[str, Any], inner: KeyPath, retyped: Retyped, whole: bool
) -> list[KeyPath]:
    """What of the option at `inner` was written for the type before: all of it, or the keys of a mapping that were
    (with `whole`: all or none)."""
    inner = inner[: next((length for length, part in enumerate(inner) if isinstance(part, int)), len(inner))]
    if not inner or not _stands(options, inner):
        return []
    leaves = list(_leaves(options, inner))
    old = [
        leaf
        for leaf in leaves
        if all(
            layered.inherited(one, retyped.place)
            for one in layered.spots
            if one[: len(path) + len(leaf)] == (*path, *leaf)
        )
    ]
    if len(old) == len(leaves):
        return [inner]
    return [] if whole else old


def _note(
    loaded: Loaded, path: KeyPath, kept: Sequence[str], cls: type[Any], retyped: Retyped, fallen: Sequence[Fallen]
) -> Problem:
    """What falls away of an entry, where it was written, and what stays."""
    new = loaded.layered.at((*path, "type"))
    said = []
    if lacks := [inner for inner, takes in fallen if not takes]:
        said.append(f"{_listed(loaded, path, lacks)} fall{'s' * (len(lacks) == 1)} away, which {new} does not have")
    for inner, takes in fallen:
        if takes:
            said.append(f"{_listed(loaded, path, [inner])} falls away, which must be {takes}")
    stay = [key for key in kept if loaded.layered.inherited((*path, key), retyped.place)]
    if stay:
        said.append(f"{', '.join(stay)} stay{'s' * (len(stay) == 1)}")
    keys = list(known_keys.fields(cls.Config))
    has = f"{new} takes {', '.join(keys[:KEYS])}{', ...' * (len(keys) > KEYS)}" if keys else f"{new} takes no options"
    first = dotted([*lacks, fallen[0][0]][0])
    hint = f"{has}; `{first}: null` beside the type says that it falls away, without this note"
    what = f"the type is {new}, and was {retyped.before}: {'; '.join(said)}"
    return Problem(retyped.place, dotted(path), what, hint, note=True)


def _listed(loaded: Loaded, path: KeyPath, fallen: Sequence[KeyPath]) -> str:
    """Keys with their values, each line of a file named once behind its own."""
    lines: dict[str, list[str]] = {}
    for inner in fallen:
        place = loaded.place(*path, *inner)
        at = f"{place.file}:{place.line}" if place and place.line else str(place)
        value = hints.written(str(inner[-1]), loaded.layered.at((*path, *inner)))
        short = value if len(value) <= hints.LONGEST and "\n" not in value else str(inner[-1])
        lines.setdefault(at, []).append(dotted((*inner[:-1], short)))
    return ", ".join(f"{', '.join(values)} ({at})" for at, values in lines.items())


def _leaves(options: dict[str, Any], path: KeyPath) -> Iterator[KeyPath]:
    """The paths of what is no mapping, or an empty one, at and below a path."""
    value: Any = options
    for part in path:
        value = value[part]
    if isinstance(value, dict) and value:
        for key in value:
            yield from _leaves(options, (*path, key))
    else:
        yield path


def _stands(options: Any, path: KeyPath) -> bool:
    for part in path:
        if not isinstance(options, dict) or part not in options:
            return False
        options = options[part]
    return True


def _delete(options: dict[str, Any], path: KeyPath) -> None:
    holder: Any = options
    for part in path[:-1]:
        holder = holder[part]
    del holder[path[-1]]
