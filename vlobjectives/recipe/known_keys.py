"""What the host knows of a key of a recipe (or of another `root`): which keys it may hold, what it means,
whether others may follow."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vlobjectives.recipe.model import Entry, Evaluate, EvaluationEntry, Recipe
from vlobjectives.recipe.yaml import KeyPath


def keys(path: KeyPath, root: type[BaseModel] = Recipe) -> list[str]:
    """The host's keys of the mapping at `path`; none where it knows no keys."""
    return [name for model in _models(path, root) for name in fields(model)]


def is_entry(path: KeyPath) -> bool:
    """Whether a plug-in's own keys may stand at `path`."""
    return any(issubclass(model, Entry) for model in _models(path, Recipe))


def is_option(path: KeyPath) -> bool:
    """Whether the key at `path` is a plug-in's own, or stands in what is."""
    return any(is_entry(path[:length]) and path[length] not in keys(path[:length]) for length in range(1, len(path)))


def takes_null(path: KeyPath, root: type[BaseModel] = Recipe) -> bool:
    """Whether null is a value of the key at `path`; what is switched on under `evaluate` it switches off. Where a
    mapping may hold anything, null is nothing."""
    if root is Recipe and path[0] == "evaluate" and len(path) == 2:
        return True
    kinds = _types(path, root)
    return NoneType in kinds or (Any in kinds and field(path, root) is not None)


def is_mapping(path: KeyPath, root: type[BaseModel] = Recipe) -> bool:
    """Whether a mapping of known keys may stand at `path`."""
    return bool(_models(path, root))


def holds_entries(path: KeyPath) -> bool:
    """Whether what stands at `path` holds plug-ins' entries by name (`objectives`, `data.mix`)."""
    return any(get_origin(one) is dict for one in _types(path, Recipe)) and is_entry((*path, "name"))


def takes_mapping(path: KeyPath, root: type[BaseModel] = Recipe) -> bool:
    """Whether some mapping may stand at `path`: of known keys, or of names."""
    return is_mapping(path, root) or any(get_origin(one) is dict for one in _types(path, root))


def description(path: KeyPath, root: type[BaseModel] = Recipe) -> str:
    """What the key at `path` means, for an element of a list the list; empty where the host does not know it."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    found = field(path, root)
    return found.description or "" if found is not None else ""


def field(path: KeyPath, root: type[BaseModel] = Recipe) -> FieldInfo | None:
    """The field of a model that the key at `path` is; None where no model has it."""
    found = (fields(model).get(str(path[-1])) for model in (_models(path[:-1], root) if path else ()))
    return next((one for one in found if one is not None), None)


def fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model as a recipe calls them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(path: KeyPath, root: type[BaseModel]) -> list[type[BaseModel]]:
    return [one for one in _types(path, root) if isinstance(one, type) and issubclass(one, BaseModel)]


def _types(path: KeyPath, root: type[BaseModel]) -> list[Any]:
    choices: list[Any] = [root]
    for part in path:
        choices = [choice for one in choices for inner in _below(one, part) for choice in _choices(inner)]
    return choices


def _below(one: Any, part: str | int) -> Iterator[Any]:
    """What may stand under `part` of something of this type."""
    if get_origin(one) is dict:
        yield get_args(one)[1]
    elif get_origin(one) is tuple and isinstance(part, int):
        yield get_args(one)[0]
    elif isinstance(one, type) and issubclass(one, BaseModel):
        own = fields(one)
        if part in own:
            yield own[part].annotation
        elif one is Evaluate:
            yield EvaluationEntry


def _choices(annotation: Any) -> Iterator[Any]:
    """The members of a union, without marks."""
    if get_origin(annotation) is Annotated:
        yield from _choices(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for choice in get_args(annotation):
            yield from _choices(choice)
    else:
        yield annotation
