"""Old keys and values of recipes, as `vlobjectives.deprecated` lists them, become the new ones where they are read."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from vlobjectives import deprecated
from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.recipe.yaml import Document, KeyPath, Spot, dotted

_NOWHERE = Spot(Place(None), Place(None))


def renewed(at: KeyPath, document: Document) -> tuple[KeyPath, Document, list[Problem]]:
    """What lies at a key path of a recipe under its new names, and a note for each old one.

    Where a key moves out of what lies at `at`, the path that is given back is that of the mapping which holds both.
    Raises RecipeError where an old key and its new one both stand in the document.
    """
    notes: list[Problem] = []
    whole = _at_root(at, document)
    while renamed_key := next(((path, key) for path, _ in _entries(whole.data) if (key := deprecated.key(path))), None):
        old, (new, ends) = renamed_key
        what = f"this key is now {dotted(new)}; the old name ends in {ends}"
        notes.append(Problem(whole.spots[old].key, dotted(old), what, f"write {dotted(new)}", note=True))
        whole = _moved(whole, old, new)
        if at[: len(old)] == old:
            at = (*new, *at[len(old) :])
        else:
            at = at[: next((length for length, key in enumerate(at) if new[length] != key), len(at))]
    for path, holder in _entries(whole.data):
        if found := deprecated.value(path, held := holder[path[-1]]):
            holder[path[-1]] = found.new
            what = f"'{held}' is now '{found.new}'; the old value ends in {found.ends}"
            hint = f"write {dotted(path)}={found.new}"
            notes.append(Problem(whole.spots[path].value, dotted(path), what, hint, note=True))
    return at, _below(at, whole), notes


def renewed_data(data: dict[str, Any]) -> dict[str, Any]:
    """A recipe of plain data, as manifests hold it, under its new names."""
    return renewed((), Document(data, {(): _NOWHERE} | {path: _NOWHERE for path, _ in _entries(data)}))[1].data


def renewed_name(name: str) -> str:
    """A dotted key path under its new name."""
    return dotted(renewed(tuple(name.split(".")), Document(None, {(): _NOWHERE}))[0])


def _entries(data: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """(path, holder) of everything in mappings and lists, from the top."""
    if isinstance(data, dict | list):
        for key, item in list(data.items() if isinstance(data, dict) else enumerate(data)):
            yield (*path, key), data
            yield from _entries(item, (*path, key))


def _at_root(path: KeyPath, document: Document) -> Document:
    """A recipe that holds a document at a path, and nothing else."""
    data = deepcopy(document.data)
    for key in reversed(path):
        data = {key: data}
    above = {path[:length]: document.spots[()] for length in range(len(path))}
    spots = above | {(*path, *inner): spot for inner, spot in document.spots.items()}
    return Document(data, spots, frozenset((*path, *inner) for inner in document.bare))


def _below(path: KeyPath, document: Document) -> Document:
    """What a document holds at a path."""
    data, length = document.data, len(path)
    for key in path:
        data = data[key]
    spots = {inner[length:]: spot for inner, spot in document.spots.items() if inner[:length] == path}
    return Document(data, spots, frozenset(inner[length:] for inner in document.bare if inner[:length] == path))


def _moved(document: Document, old: KeyPath, new: KeyPath) -> Document:
    """The document with what stands at one path put at another; changes its data."""
    holder, spots = document.data, dict(document.spots)
    for key in old[:-1]:
        holder = holder[key]
    moved, holder = holder.pop(old[-1]), document.data
    for length, key in enumerate(new[:-1], 1):
        spots.setdefault(new[:length], spots[old])
        holder = holder.setdefault(key, {})
        if not isinstance(holder, dict):
            break  # which is refused for its type
    else:
        if new[-1] in holder:
            what = f"this is the old name of {dotted(new)}, which stands here too"
            raise RecipeError.one(what, f"leave {old[-1]} out", spots[old].key, dotted(old))
        holder[new[-1]] = moved

    def after(path: KeyPath) -> KeyPath:
        return (*new, *path[len(old) :]) if path[: len(old)] == old else path

    return Document(
        document.data, {after(one): spot for one, spot in spots.items()}, frozenset(map(after, document.bare))
    )
