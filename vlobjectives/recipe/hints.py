"""The line that corrects a value of the wrong type: one that the key takes, its default if it has one.

Whatever is offered was held against the type first, so that writing the line is one problem less.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_json, to_jsonable_python

from vlobjectives.contracts.naming import kinds
from vlobjectives.recipe import known_keys
from vlobjectives.recipe.dump import dump_data
from vlobjectives.recipe.yaml import KeyPath

NUMBERS = (0.5, 0.001, 1.5, 16.0, 0.0)
COUNTS = (8, 64, 1, 2, 0)
LONGEST = 80
"""Characters of a line that is offered."""


def line(root: type[BaseModel], path: KeyPath, value: Any, defined: Mapping[str, Sequence[str]]) -> str:
    """`key: value` for the key at `path` (of an element of a list: the list's), with a value that the key takes: near
    to what was written where that can be told, else the default or an example; what the key means is a comment behind
    it. Empty where none is known.

    defined  kind of thing -> the names that the recipe has of it
    """
    while path and isinstance(path[-1], int):
        path, value = path[:-1], None
    field = known_keys.field(path, root)
    if field is None:
        return f"{path[-1]}: {{}}" if path and known_keys.is_mapping(path, root) else ""
    names = [name for kind in kinds(field) for name in defined.get(kind, ())]
    if names:
        return f"{path[-1]}: {names[0]}" if len(names) == 1 else f"name one of {', '.join(names)}"
    extra = field.json_schema_extra
    word = f"./{path[-1]}" if isinstance(extra, dict) and extra.get("path") else str(path[-1])
    for one in (*_near(value, field), *_defaults(field), *_examples(field.annotation, field.metadata, word)):
        if takes(field, one):
            text = written(str(path[-1]), one)
            meaning = f"  # {field.description}" if field.description else ""
            return text + meaning if "\n" not in text and len(text) <= LONGEST else ""
    return ""


def example(field: FieldInfo, word: str) -> Any:
    """A value that a key takes; None where none is known."""
    values = (*_defaults(field), *_examples(field.annotation, field.metadata, word))
    return next((one for one in values if takes(field, one)), None)


def written(key: str, value: Any) -> str:
    """`key: value` as YAML has it."""
    return dump_data({key: to_jsonable_python(value)}, flow=True).strip()[1:-1]


def takes(field: FieldInfo, value: Any) -> bool:
    """Whether a key takes a value, as strictly as in a recipe."""
    kind: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    try:
        TypeAdapter(kind).validate_json(to_json(value), strict=True)
    except ValidationError:
        return False
    return value == value  # a number; JSON has no other


def _defaults(field: FieldInfo) -> Iterator[Any]:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is not PydanticUndefined and value is not None:
        yield TypeAdapter(Any).dump_python(value, mode="json", by_alias=True, exclude_none=True)


def _near(value: Any, field: FieldInfo) -> Iterator[Any]:
    """What was probably meant: a number with words around it, a share in per cent, one thing in place of a list."""
    if isinstance(value, str):
        if found := re.fullmatch(r"\s*([-+]?[\d_]*\.?\d+(?:[eE][-+]?\d+)?)\s*(%|[a-zA-Z]*)\s*", value):
            number = float(found[1].replace("_", "")) * {"%": 0.01, "k": 1e3, "K": 1e3, "M": 1e6}.get(found[2], 1)
            yield from (int(number), round(number, 12)) if number == int(number) else (round(number, 12),)
        words = [word for one in _members(field.annotation) if get_origin(one) is Literal for word in get_args(one)]
        yield from get_close_matches(value, [word for word in words if isinstance(word, str)], 1)
    if isinstance(value, float) and value == int(value):
        yield int(value)
    if isinstance(value, list) and len(value) == 1:
        yield value[0]
    if value is not None and not isinstance(value, dict):
        yield from (str(value).lower() if isinstance(value, bool) else str(value), [value])


def _members(annotation: Any) -> Iterator[Any]:
    """The members of a union, each with its marks."""
    if get_origin(annotation) in (Union, UnionType):
        for one in get_args(annotation):
            yield from _members(one)
    elif get_origin(annotation) is Annotated and get_origin(get_args(annotation)[0]) in (Union, UnionType):
        yield from _members(get_args(annotation)[0])
    else:
        yield annotation


def _examples(annotation: Any, marks: Sequence[Any], word: str) -> Iterator[Any]:
    """Values to try; which of them a key takes is for its type to say."""
    for one in _members(annotation):
        inner, more = (get_args(one)[0], get_args(one)[1:]) if get_origin(one) is Annotated else (one, ())
        if more:
            yield from _examples(inner, more, word)
        else:
            yield from _plain(inner, marks, word)


def _plain(kind: Any, marks: Sequence[Any], word: str) -> Iterator[Any]:
    origin, of = get_origin(kind), get_args(kind)
    if origin is Literal:
        yield from of
    elif kind is bool:
        yield True
    elif kind in (int, float):
        yield from _between(kind, marks)
    elif kind is str or kind is Any:
        yield word
    elif origin in (tuple, list):
        yield from _several(of, word)
    elif origin is dict:
        yield {}
        yield from ({"name": one} for one in _examples(of[1], (), word))
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _whole(kind, word)


def _several(of: tuple[Any, ...], word: str) -> Iterator[Any]:
    """Lists: one of the kind, or of each place its own."""
    if len(of) == 1 or of[1:] == (Ellipsis,):
        yield from ([one] * most for one in _examples(of[0], (), word) for most in (1, 2))
        yield []
        return
    yield [
        next((one for one in _examples(kind, (), word) if takes(FieldInfo(annotation=kind), one)), None) for kind in of
    ]


def _whole(kind: type[BaseModel], word: str) -> Iterator[Any]:
    """A mapping of what has no default; of one in which everything has, of its first key."""
    own = known_keys.fields(kind)
    needed = {name: field for name, field in own.items() if field.is_required()} or dict(list(own.items())[:1])
    yield {
        name: next((one for one in _examples(field.annotation, field.metadata, word) if takes(field, one)), None)
        for name, field in needed.items()
    }


def _between(kind: type, marks: Sequence[Any]) -> Iterator[Any]:
    """Numbers inside the bounds."""
    bounds = {
        key: getattr(mark, key)
        for mark in _flat(marks)
        for key in ("gt", "ge", "lt", "le")
        if getattr(mark, key, None) is not None
    }
    low, high = (next((bounds[key] for key in keys if key in bounds), None) for keys in (("gt", "ge"), ("lt", "le")))
    yield from COUNTS if kind is int else NUMBERS if high is not None and high <= 1 else NUMBERS[1:]
    if low is not None:
        yield kind(low if "ge" in bounds else low + 1)
    if high is not None:
        yield kind(high if "le" in bounds else high - 1)
    if low is not None and high is not None:
        yield kind((low + high) / 2)


def _flat(marks: Sequence[Any]) -> Iterator[Any]:
    for mark in marks:
        yield mark
        yield from _flat(getattr(mark, "metadata", ()))
