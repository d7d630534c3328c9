"""Where a Config names other things of the recipe: in a field, or inside of a list, a mapping or a Config in it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel


@dataclass(frozen=True)
class Names:
    """Marks a Config field as the name of something else in the recipe; `check` resolves it."""

    kind: str


Place = tuple[str | int, ...]


def kinds(info: Any) -> set[str]:
    """Kinds that a pydantic field names, wherever in it."""
    return {mark.kind for mark in info.metadata if isinstance(mark, Names)} | _kinds(info.annotation)


def _kinds(hint: Any) -> set[str]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        return set().union(*map(kinds, hint.model_fields.values()))
    own = {mark.kind for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Names)}
    return own.union(*map(_kinds, get_args(getattr(hint, "__value__", hint))))


def places(config: BaseModel, kind: str) -> Iterator[tuple[Place, str]]:
    """Where names of this kind stand, and the names: (`mask`,), (`masks`, 0), (`masks`, `words`)."""
    for field, info in type(config).model_fields.items():
        marked = any(isinstance(mark, Names) and mark.kind == kind for mark in info.metadata)
        yield from dict(_places(getattr(config, field), info.annotation, kind, (field,), marked)).items()


def _places(value: Any, hint: Any, kind: str, place: Place, marked: bool = False) -> Iterator[tuple[Place, str]]:
    hint = getattr(hint, "__value__", hint)  # of a `type` statement
    if get_origin(hint) is Annotated:
        hint, *marks = get_args(hint)
        marked = marked or any(isinstance(mark, Names) and mark.kind == kind for mark in marks)
    inner = get_args(hint)
    if marked and isinstance(value, str):
        yield place, value
    elif isinstance(value, BaseModel):
        yield from (((*place, *rest), name) for rest, name in places(value, kind))
    elif isinstance(value, Mapping):
        for key, held in value.items():
            for hints in _of(hint, Mapping, inner):
                yield from _places(key, hints[0], kind, (*place, key))
                yield from _places(held, hints[-1], kind, (*place, key))
    elif isinstance(value, Collection) and not isinstance(value, str | bytes):
        for number, held in enumerate(value):
            for hints in _of(hint, Collection, inner):
                yield from _places(held, hints[number] if number < len(hints) else hints[0], kind, (*place, number))
    else:
        for other in inner:
            yield from _places(value, other, kind, place, marked)


def _of(hint: Any, base: type, inner: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The hints of what a collection holds; of a union those of its members that are collections."""
    origin = get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, base):
        yield tuple(one for one in inner if one is not ...)
    elif not isinstance(origin, type) or not issubclass(origin, Collection):
        for other in inner:
            other = get_args(other)[0] if get_origin(other) is Annotated else other
            yield from _of(other, base, get_args(other))


def held(config: BaseModel, kind: str, things: Mapping[str, Any]) -> dict[str, Any]:
    """Field -> the thing that it names, of a field that names several a list or mapping of them in its form.

    A field that names something that is not among `things` is left out, and so is one that names nothing.
    """
    found: dict[str, dict[Place, Any]] = {}
    gone = set()
    for (field, *rest), name in places(config, kind):
        found.setdefault(field, {})[tuple(rest)] = things.get(name)
        gone |= {field} - ({field} if name in things else set())
    return {field: _formed(inside) for field, inside in found.items() if field not in gone}


def _formed(inside: Mapping[Place, Any]) -> Any:
    if () in inside:
        return inside[()]
    branches: dict[Any, dict[Place, Any]] = {}
    for (first, *rest), thing in inside.items():
        branches.setdefault(first, {})[tuple(rest)] = thing
    made = {first: _formed(rest) for first, rest in branches.items()}
    return list(made.values()) if all(isinstance(first, int) for first in made) else made
