"""Where a Config names other things of the recipe: in a field, or inside of a list, a mapping or a Config in it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import eq
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel


@dataclass(frozen=True)
class Names:
    """Marks a Config field as the name of something else in the recipe; `check` resolves it.

    Attributes:
        kind: The kind of thing that is named: input, mask, pairing, part, field or objective.
    """

    kind: str


@dataclass(frozen=True)
class Needs:
    """Marks a Config field that names an objective (`ObjectiveName`) with the role that it must fill.

    Attributes:
        role: The role, one of the classes of `roles`.
    """

    role: type


Place = tuple[str | int, ...]
Wanted = Callable[[Any], bool]
"""Whether a mark is one of those that are looked for."""


def kinds(info: Any) -> set[str]:
    """Return the kinds of things that a pydantic field (a FieldInfo) names, wherever in it."""
    return {mark.kind for mark in _marks(info) if isinstance(mark, Names)}


def _marks(info: Any) -> Iterator[Any]:
    """All marks of a pydantic field, wherever in it."""
    yield from info.metadata
    yield from _marks_of(info.annotation)


def _marks_of(hint: Any) -> Iterator[Any]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        for info in hint.model_fields.values():
            yield from _marks(info)
    else:
        yield from getattr(hint, "__metadata__", ())
        for inner in get_args(getattr(hint, "__value__", hint)):
            yield from _marks_of(inner)


def places(config: BaseModel, kind: str) -> Iterator[tuple[Place, str]]:
    """Find the names of a kind in a Config.

    Args:
        config: The Config, with its values.
        kind: The kind of thing that is named.

    Returns:
        Key paths at which names stand, and the names. Paths are (`mask`,), (`masks`, 0), (`masks`, `words`).
    """
    return _marked(config, lambda mark: isinstance(mark, Names) and mark.kind == kind)


def needs(config: BaseModel) -> Iterator[tuple[Place, str, type]]:
    """Find the objectives named in a Config that must fill a role.

    Args:
        config: The Config, with its values.

    Returns:
        For each the key path at which it is named, its name, and the role.
    """
    marks = (mark for info in type(config).model_fields.values() for mark in _marks(info))
    for need in dict.fromkeys(mark for mark in marks if isinstance(mark, Needs)):
        for place, name in _marked(config, partial(eq, need)):
            yield place, name, need.role


def _marked(config: BaseModel, wanted: Wanted) -> Iterator[tuple[Place, str]]:
    for field, info in type(config).model_fields.items():
        marked = any(map(wanted, info.metadata))
        yield from dict(_places(getattr(config, field), info.annotation, wanted, (field,), marked)).items()


def _places(value: Any, hint: Any, wanted: Wanted, place: Place, marked: bool = False) -> Iterator[tuple[Place, str]]:
    hint = getattr(hint, "__value__", hint)  # of a `type` statement
    if get_origin(hint) is Annotated:
        hint, *marks = get_args(hint)
        marked = marked or any(map(wanted, marks))
    inner = get_args(hint)
    if marked and isinstance(value, str):
        yield place, value
    elif isinstance(value, BaseModel):
        yield from (((*place, *rest), name) for rest, name in _marked(value, wanted))
    elif isinstance(value, Mapping):
        for key, held in value.items():
            for hints in _of(hint, Mapping, inner):
                yield from _places(key, hints[0], wanted, (*place, key))
                yield from _places(held, hints[-1], wanted, (*place, key))
    elif isinstance(value, Collection) and not isinstance(value, str | bytes):
        for number, held in enumerate(value):
            for hints in _of(hint, Collection, inner):
                yield from _places(held, hints[number] if number < len(hints) else hints[0], wanted, (*place, number))
    else:
        for other in inner:
            yield from _places(value, other, wanted, place, marked)


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
    """Return the things that the fields of a Config name.

    Args:
        config: The Config, with its values.
        kind: The kind of thing that is named.
        things: All things of the kind, by name.

    Returns:
        Field -> the thing that it names; of a field that names several a list or mapping of them in its form. A field
        that names nothing is left out, and so is one that names something that is not among `things`.
    """
    found: dict[str, dict[Place, Any]] = {}
    gone = set()
    for place, name in places(config, kind):
        field = str(place[0])
        found.setdefault(field, {})[place[1:]] = things.get(name)
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
