"""Options that are paths: the host makes them absolute, counted from the file that they are written in.

A Config says so by the type of a field (`PathName`, `PathOrName`, `pathlib.Path`; also within lists, mappings, unions
and models of its own), or by `json_schema_extra={"path": True}`. An option of a source that is no path and says where
files may lie all the same (whether links are followed) is marked `{"place": True}`: it may change as paths may.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, Field

PathName = Annotated[str, Field(json_schema_extra={"path": True})]
"""A file or folder."""
PathOrName = Annotated[str, Field(json_schema_extra={"path": "or name"})]
"""A file or folder where one lies there (or where it begins with a dot, ~ or /), else a name that a hub knows."""

Kind = Literal[True, "or name"]
Found = tuple[tuple[str | int, ...], Kind]


def paths(config: type[BaseModel], options: Mapping[str, Any]) -> Iterator[Found]:
    """Find the options that are paths.

    Args:
        config: The Config that the options are for.
        options: The options, as written.

    Returns:
        The key paths at which options hold a path; with each True, or "or name" where it may be a name as well.
    """
    for name, field in config.model_fields.items():
        key = field.alias or name
        if key in options:
            for inner, kind in _within(field.annotation, _kind([field, *field.metadata]), options[key]):
                yield (key, *inner), kind


def places(config: type[BaseModel], options: Mapping[str, Any]) -> list[str]:
    """Find the options that are no paths and say where files may lie.

    Args:
        config: The Config that the options are for.
        options: The options, as written.

    Returns:
        Their keys.
    """
    return [
        name
        for name, field in config.model_fields.items()
        if name in options and isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("place")
    ]


def _within(annotation: Any, kind: Kind | None, value: Any) -> Iterator[Found]:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _within(inner[0], kind or _kind(inner[1:]), value)
    elif origin in (Union, UnionType):
        yield from dict.fromkeys(found for one in inner for found in _within(one, kind, value))
    elif isinstance(value, str) and (kind or (isinstance(annotation, type) and issubclass(annotation, PurePath))):
        yield (), kind or True
    elif isinstance(value, dict) and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from paths(annotation, value)
    elif isinstance(value, dict | list) and inner:
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            of = (
                inner[key]
                if origin is tuple and Ellipsis not in inner and key < len(inner)
                else inner[-1]
                if isinstance(value, dict)
                else inner[0]
            )
            yield from (((key, *more), found) for more, found in _within(of, kind, item))


def _kind(marks: Any) -> Kind | None:
    extras = (getattr(mark, "json_schema_extra", None) for mark in marks)
    return next((extra["path"] for extra in extras if isinstance(extra, dict) and extra.get("path")), None)
