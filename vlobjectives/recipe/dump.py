"""A recipe as YAML that reads back equal, here and with a YAML 1.1 reader."""

from typing import Any

import yaml
from pydantic import BaseModel

from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.scalars import kind_of

_TAG = "tag:yaml.org,2002:"


def dump(recipe: Recipe) -> str:
    """The resolved recipe: defaults written out, optional keys that hold nothing left out."""
    return dump_data(as_data(recipe))


def as_data(recipe: Recipe) -> dict[str, Any]:
    """The same as plain data."""
    data: dict[str, Any] = _data(recipe)
    return data


def dump_data(data: Any, flow: bool | None = None) -> str:
    """Plain data as YAML; `flow`: all in braces and brackets."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=flow)


def _data(value: Any) -> Any:
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        own = {
            field.alias or name: _data(getattr(value, name))
            for name, field in fields.items()
            if getattr(value, name) is not None or field.default is not None
        }
        return own | {name: _data(held) for name, held in (value.model_extra or {}).items()}
    if isinstance(value, dict):
        return {name: _data(held) for name, held in value.items()}
    return [_data(held) for held in value] if isinstance(value, list | tuple) else value


class _Dumper(yaml.SafeDumper):
    """Puts a word in quotes if YAML 1.2 or YAML 1.1 would read something else; writes no anchors."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        if kind is yaml.ScalarNode and implicit[0]:
            ours = kind_of(value)
            if ours != "str":
                return _TAG + ours
        return super().resolve(kind, value, implicit)

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def text(self, value: str) -> yaml.Node:
        # PyYAML does not read back every line break that it writes in single quotes (U+0085)
        return self.represent_scalar(f"{_TAG}str", value, style=None if value.isprintable() else '"')


_Dumper.add_representer(str, _Dumper.text)
