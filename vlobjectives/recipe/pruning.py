"""Data of a recipe without what is wrong in it, so that the rest is a recipe and can be looked at in the same call."""

from collections.abc import Container
from typing import Any

from pydantic import BaseModel

from vlobjectives.recipe import hints, known_keys
from vlobjectives.recipe.yaml import KeyPath


def take_out(data: dict[str, Any], path: KeyPath, root: type[BaseModel]) -> None:
    """Takes a wrong key or value out: its default stands in, where it has none what its type takes. An entry that is
    wrong as a whole keeps its name."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    holder: Any = data
    for part in path[:-1]:
        keys: Container[Any] = (
            holder if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ()
        )
        if part not in keys:
            return  # it went with what held it
        holder = holder[part]
    if not path or not isinstance(holder, dict):
        return
    key, field = path[-1], known_keys.field(path, root)
    if field is not None and field.is_required():
        holder[key] = hints.example(field, str(key))
    elif field is None and key in holder and len(path) > 1 and known_keys.is_entry(path):
        holder[key] = {"type": key}
    else:
        holder.pop(key, None)
