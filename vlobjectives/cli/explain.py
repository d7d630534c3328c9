"""What `vlobj plugins` shows: rows of a table, and of one plug-in its formula, paper, options, views and place."""

import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from rich.table import Table
from rich.text import Text

from vlobjectives.components import KINDS, PART_KINDS, ComponentRow
from vlobjectives.errors import Place, PluginError
from vlobjectives.plugin_loading.load import defined
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
    """The plug-ins that NAME, KIND:NAME or PACKAGE/NAME means; several kinds may have one of that name. Of a local
    file (`./my_loss.py`) all that it brings.

    Raises PluginError if there is none, or if one does not load.
    """
    if name.endswith(".py"):
        return _of_file(registry, Path(name))
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
        near = get_close_matches(short, [row.name for row in registry.all() if kind in ("", row.kind)], 1)
        raise PluginError(
            f"there is no plug-in '{name}'" + (f", did you mean '{near[0]}'?" if near else ""),
            f"`vlobj plugins` lists them; kinds are {', '.join(KINDS)}",
        )
    return [(row, registry.get(row.kind, row.name)) for row in found]


def _of_file(registry: Registry, path: Path) -> list[tuple[ComponentRow, type]]:
    before = set(registry.all())
    registry.add_file(path)
    found = [row for row in registry.all() if row.package == path.stem and row not in before]
    if not found:
        raise PluginError(
            f"{path} brings no component; its marked functions watch every run of a recipe that names it",
            'its vlobj_components may return {"objective:NAME": CLASS}',
        )
    return [(row, registry.get(row.kind, f"{row.package}/{row.name.rpartition('/')[2]}")) for row in found]


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
        "host_keys": host_keys(row.kind, cls),
        "views": views(row, cls),
        "defined": str(_defined(cls) or ""),
        "checks": _checks(row, cls),
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
        _show_options(console, "option", seen["options"])
    if seen["host_keys"]:
        print(end="\n" if seen["options"] else "")
        _show_options(console, "host's key", seen["host_keys"])
    if seen["views"]:
        print("\nviews")
        for name, view in seen["views"].items():
            print(f"  {name:12} {view}")
    print(f"\ndefined  {seen['defined'] or 'in no file'}")
    if seen["checks"]:
        print(f"checks   {seen['checks']}")


def _show_options(console: Wide, title: str, given: list[dict[str, Any]]) -> None:
    shown = Table(box=None, pad_edge=False)
    for column in (title, "type", "default", "description"):
        shown.add_column(column, overflow="fold", min_width=8)
    for option in given:
        default = json.dumps(option["default"], ensure_ascii=False) if "default" in option else "(must be given)"
        shown.add_row(Text(option["name"]), Text(option["type"]), Text(default), Text(option["description"]))
    console.print(shown)


def host_keys(kind: str, cls: type[Any]) -> list[dict[str, Any]]:
    """Describe the keys of an entry of this kind that are the host's, as `options` does: what they mean is always the
    same, and `default` is what counts for this component."""
    from vlobjectives.recipe.jsonschema import ENTRIES  # a list of all needs no recipe
    from vlobjectives.recipe.model import MixEntry

    entries = {of: entry for of, entry in ENTRIES.values()}
    found = [
        key for key in fields(entries["part" if kind in PART_KINDS else kind]) if key["name"] not in ("type", "mix")
    ]
    if kind == "source":
        alone = {key["name"] for key in found}
        mixed = (key for key in fields(MixEntry) if key["name"] not in alone | {"type"})
        found += [key | {"description": f"in a mix: {key['description']}"} for key in mixed]
    return [key | ({"default": cls.group} if key["name"] == "group" and hasattr(cls, "group") else {}) for key in found]


def _defined(cls: type[Any]) -> Place | None:
    """File and line of a class; the file as one would write it here."""
    place = defined(cls)
    if place is None or place.file is None or not Path(place.file).is_relative_to(Path.cwd()):
        return place
    return Place(str(Path(place.file).relative_to(Path.cwd())), place.line)


def _checks(row: ComponentRow, cls: type[Any]) -> str:
    """The command that runs the checks of its kind; empty where there are none."""
    from vlobjectives.testing.parametrize import CHECKS

    given = " ".join(f"{name}=..." for name, field in cls.Config.model_fields.items() if field.is_required())
    place = _defined(cls)
    what = f"{row.kind}:{row.name}" if row.version or not place else str(place.file)
    return f"vlobj conform {what} {given}".strip() if row.kind in CHECKS else ""


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
        held = named if named == "path" else ""  # other names may be those of keys
        return f"mapping to {_type(shape['additionalProperties'], schema, held)}"
    if kind == "object" and "properties" in shape:
        return f"{{{', '.join(shape['properties'])}}}"
    bounds = [f"{sign} {shape[key]:g}" for key, sign in BOUNDS.items() if key in shape]
    return " ".join([PLAIN.get(kind, kind), ", ".join(bounds)]).strip()
