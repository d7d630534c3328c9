"""What `vlobj plugins` shows: rows of a table, and of one plug-in its formula, paper, options and views."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from vlobjectives.components import KINDS, ComponentRow
from vlobjectives.errors import PluginError
from vlobjectives.registry import Registry
from vlobjectives.runtime.console import Wide

PLAIN = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
    "object": "mapping",
    "array": "list",
}
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def rows(registry: Registry) -> list[dict[str, Any]]:
    """List every component, then every plug-in that could not be loaded; imports no component."""
    return [asdict(row) for row in registry.all()] + [
        {
            "kind": "",
            "name": fault.name,
            "package": fault.distribution,
            "version": "",
            "target": "",
            "fault": fault.reason,
        }
        for fault in registry.faults
    ]


def catalogue(registry: Registry) -> list[dict[str, Any]]:
    """List every component with its one line, its paper and its options, as `vlobj plugins --json` prints them.

    Imports every component. One that does not import has its error under `fault`, and no options.
    """
    components = []
    for row in rows(registry):
        described: dict[str, Any] = {"summary": "", "paper": "", "options": []}
        if not row["fault"]:
            try:
                cls = registry.get(row["kind"], row["name"])
            except PluginError as error:
                row["fault"] = error.what
            else:
                described = {"summary": summary(cls), "paper": cls.paper, "options": options(cls)}
        components.append(row | described)
    return components


def summary(cls: type[Any]) -> str:
    """Return the first line of a component's docstring; empty where it has none."""
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def table(components: list[dict[str, Any]]) -> None:
    """Print the rows as a table; without the column of faults where there are none."""
    columns = ["kind", "name", "package", "version", *(["fault"] if any(row["fault"] for row in components) else [])]
    shown = Table(box=None, pad_edge=False)
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in components:
        shown.add_row(*(Text(row[column] or "") for column in columns))
    Wide().print(shown)


def find(registry: Registry, name: str) -> list[tuple[ComponentRow, type]]:
    """The plug-ins that NAME, KIND:NAME or PACKAGE/NAME means; several kinds may have one of that name.

    Raises PluginError if there is none, or if one does not load.
    """
    kind, _, short = name.rpartition(":")
    found = [
        row for row in registry.all() if short in (row.name, f"{row.package}/{row.name}") and kind in ("", row.kind)
    ]
    if not found:
        of = next((one for one in KINDS if short.lower() in (one, f"{one}s")), None)
        if of:
            raise PluginError(
                f"'{name}' is a kind of plug-in", "`vlobj plugins NAME` explains one: " + ", ".join(registry.names(of))
            )
        near = get_close_matches(short, [row.name for row in registry.all()], 1)
        raise PluginError(
            f"there is no plug-in '{name}'" + (f", did you mean '{near[0]}'?" if near else ""),
            f"`vlobj plugins` lists them; kinds are {', '.join(KINDS)}",
        )
    return [(row, registry.get(row.kind, row.name)) for row in found]


def as_data(row: ComponentRow, cls: type[Any]) -> dict[str, Any]:
    """The same that `show` prints."""
    return {
        "kind": row.kind,
        "name": row.name,
        "package": row.package,
        "version": row.version,
        "summary": summary(cls),
        "paper": cls.paper,
        "about": inspect.getdoc(cls) or "",
        "options": options(cls),
        "views": views(row, cls),
    }


def show(row: ComponentRow, cls: type[Any]) -> None:
    """A plug-in as a person reads it."""
    console, seen = Wide(highlight=False), as_data(row, cls)
    brought = f"{row.package} {row.version}".strip()
    console.print(Text(f"{row.kind} {row.name}", "bold"), Text(f"({brought})"))
    if seen["paper"]:
        console.print(Text(seen["paper"]))
    print(f"\n{seen['about']}\n")
    if seen["options"]:
        shown = Table(box=None, pad_edge=False)
        for column in ("option", "type", "default", "description"):
            shown.add_column(column, overflow="fold", min_width=8)
        for option in seen["options"]:
            default = json.dumps(option["default"], ensure_ascii=False) if "default" in option else "(must be given)"
            shown.add_row(Text(option["name"]), Text(option["type"]), Text(default), Text(option["description"]))
        console.print(shown)
    if seen["views"]:
        print("\nviews")
        for name, view in seen["views"].items():
            print(f"  {name:12} {view}")


def options(cls: type[Any]) -> list[dict[str, Any]]:
    """Describe each option of a component: name, type with its bounds, default (absent: required), description."""
    return fields(cls.Config)


def fields(model: type[BaseModel]) -> list[dict[str, Any]]:
    """Describe each field of a model as `options` does."""
    schema, described = model.model_json_schema(), []
    for name, field in model.model_fields.items():
        shape = schema["properties"][field.alias or name]
        named = next((f"name of {kind}" for kind in _named(field)), "")
        option = {
            "name": field.alias or name,
            "type": _type(shape, schema, named),
            "description": field.description or "",
        }
        if not field.is_required():
            option["default"] = shape.get("default")
        described.append(option)
    return described


def views(row: ComponentRow, cls: type[Any]) -> dict[str, str]:
    """What the plug-in asks to see, with the inputs `image` and `text` and each named thing called by its option.

    Empty where it has no views, or where they hang on options that have no default.
    """
    from vlobjectives.contracts.views import Input

    if row.kind not in ("objective", "mask", "pairing", "evaluation"):
        return {}
    given = {name: name for name, field in cls.Config.model_fields.items() if field.is_required() and _named(field)}
    try:
        maker = cls(cls.Config.model_validate_json(json.dumps(given), strict=True))
        made = maker.views({"image": Input("image", "vision"), "text": Input("text", "text")})
        return {name: view.title for name, view in made.items()}
    except Exception:  # a third party's code on options that stand for nothing: the rest of the page is worth showing
        return {}


def _named(field: Any) -> list[str]:
    """The kinds of things that an option names."""
    from vlobjectives.contracts.naming import kinds

    words = {
        "input": "an input",
        "mask": "a mask",
        "pairing": "a pairing",
        "part": "a part of the model",
        "field": "a field",
        "objective": "an objective",
    }
    return [words[kind] for kind in sorted(kinds(field))]


def _type(shape: Mapping[str, Any], schema: Mapping[str, Any], named: str) -> str:
    """A JSON schema in words: `number > 0, < 1`, `"drop" or "token"`, `list of text`."""
    named = named or ("path" if shape.get("path") else "")
    if "$ref" in shape:
        return _type(schema["$defs"][shape["$ref"].rpartition("/")[2]], schema, named)
    if choices := shape.get("anyOf"):
        return " or ".join(dict.fromkeys(_type(one, schema, named) for one in choices))
    if "enum" in shape or "const" in shape:
        return " or ".join(json.dumps(value) for value in shape.get("enum", [shape.get("const")]))
    kind = shape.get("type", "anything")
    if kind == "string" and named:
        return named
    if kind == "array" and "prefixItems" in shape:
        return f"list of {len(shape['prefixItems'])}: {_type(shape['prefixItems'][0], schema, '')}"
    if kind == "array":
        return f"list of {_type(shape.get('items', {}), schema, named)}"
    if kind == "object" and isinstance(shape.get("additionalProperties"), dict):
        return f"mapping to {_type(shape['additionalProperties'], schema, '')}"
    if kind == "object" and "properties" in shape:
        return f"{{{', '.join(shape['properties'])}}}"
    bounds = [f"{sign} {shape[key]:g}" for key, sign in BOUNDS.items() if key in shape]
    return " ".join([PLAIN.get(kind, kind), ", ".join(bounds)]).strip()
