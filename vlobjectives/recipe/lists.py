"""What null takes out of a recipe falls out of the lists of the layers below too, with a note: lists are not merged, so
that nobody could take one name out of them. Entries that name what is gone are told by `resolved.removed`."""

from collections.abc import Callable, Iterator
from typing import Any

from vlobjectives.errors import Place, Problem
from vlobjectives.recipe.layers import Layered
from vlobjectives.recipe.yaml import Document, KeyPath, Spot, dotted

Owner = Callable[[Any], KeyPath]
"""An element of a list -> the entry that it is for."""


def without_gone(layered: Layered) -> None:
    """Takes out of lists what is for entries that null took away in a layer above. An objective or an evaluation whose
    `sources` are all gone goes with them."""
    for section in ("objectives", "evaluate"):
        for name in _mapping(layered, (section,)):
            path = (section, name)
            places = _shorten(layered, (*path, "sources"), lambda source: ("data", "mix", source))
            if places and not layered.at((*path, "sources")):
                layered.take_away(path, places[0])
    _shorten(layered, ("optim", "groups"), _of_group)
    _shorten(layered, ("plan", "checkpoint"), lambda part: ("model", part))
    _shorten(layered, ("balance", "on"), lambda pattern: ("model", str(pattern).split(".")[0]))


def _of_group(group: Any) -> KeyPath:
    match = group.get("match") if isinstance(group, dict) else None
    return tuple(str(match).split(".")[:2])


def _mapping(layered: Layered, path: KeyPath) -> list[str]:
    try:
        held = layered.at(path)
    except KeyError:
        return []
    return list(held) if isinstance(held, dict) else []


def _shorten(layered: Layered, path: KeyPath, owner: Owner) -> list[Place]:
    """Takes what is gone out of a list; gives the places at which it was taken away."""
    try:
        items = layered.at(path)
    except KeyError:
        return []
    if not isinstance(items, list):
        return []
    gone = dict(_gone(layered, path, items, owner))
    kept = [number for number in range(len(items)) if number not in gone]
    if not gone or (not kept and path == ("balance", "on")):  # whose checks say so
        return []
    spots: dict[KeyPath, Spot] = {(): layered.spots[path]}
    for to, number in enumerate(kept):
        below = (*path, number)
        spots |= {(to, *one[len(below) :]): spot for one, spot in layered.spots.items() if one[: len(below)] == below}
    layered.notes += [_note(layered, path, number, entry, not kept) for number, entry in gone.items()]
    layered.put(path, Document([items[number] for number in kept], spots))
    return [layered.gone[entry] for entry in gone.values()]


def _note(layered: Layered, path: KeyPath, number: int, entry: KeyPath, last: bool) -> Problem:
    """What falls out of a list; with the last of its sources an entry goes as a whole."""
    at, hint = layered.spots[(*path, number)].value, "nothing, if that is meant"
    name, falls = dotted(path), "it"
    if last and path[-1] == "sources":
        name = falls = dotted(path[:2])
        hint += f"; {name}=null says it too"
    what = f"{name} ({at}) is for {dotted(entry)}, which is taken away: {falls} falls away with it"
    return Problem(layered.gone[entry], dotted(path), what, hint, note=True)


def _gone(layered: Layered, path: KeyPath, items: list[Any], owner: Owner) -> Iterator[tuple[int, KeyPath]]:
    for number, item in enumerate(items):
        place = layered.gone.get(entry := owner(item)) if isinstance(item, str | dict) else None
        if place is not None and layered.inherited((*path, number), place):
            yield number, entry
