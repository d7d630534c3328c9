"""JSON Schema of a recipe, for editors: completes keys and shows what they mean, with the plug-ins' own Configs.

Nothing is `required` in it: a recipe that `extends` another holds what differs. `vlobj check` says what is missing.
"""

from typing import Any

from vlobjectives.recipe.model import (
    BalanceEntry,
    DataEntry,
    Entry,
    EvaluationEntry,
    FieldEntry,
    MaskEntry,
    MixEntry,
    ObjectiveEntry,
    PairingEntry,
    PartEntry,
    Recipe,
    TrackerEntry,
)
from vlobjectives.registry import Registry

ENTRIES: dict[str, tuple[str, type[Entry]]] = {
    "data": ("source", DataEntry),
    "fields": ("reader", FieldEntry),
    "model": ("part", PartEntry),
    "masks": ("mask", MaskEntry),
    "pairings": ("pairing", PairingEntry),
    "objectives": ("objective", ObjectiveEntry),
    "balance": ("balancer", BalanceEntry),
    "evaluate": ("evaluation", EvaluationEntry),
    "trackers": ("tracker", TrackerEntry),
}


def json_schema(registry: Registry | None = None) -> dict[str, Any]:
    """The schema of a recipe file. With a registry each entry is completed by its plug-in's Config.

    That imports every plug-in (and torch); one that does not load is known by its name alone.
    """
    schema = _relaxed(Recipe.model_json_schema())
    properties, definitions = schema["properties"], schema["$defs"]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    properties["extends"] = {"type": "string", "description": "a recipe to start from: a .yaml file or a shipped name"}
    for section in ("fields", "model", "inputs", "masks", "pairings", "objectives", "trackers"):
        # pydantic's pattern would bind the named entries too, which are described better below
        ((pattern, entry),) = properties[section].pop("patternProperties").items()
        properties[section].pop("minProperties", None)
        properties[section] |= {"propertyNames": {"pattern": pattern}, "additionalProperties": _or(entry, "null")}
    switch = definitions["Evaluate"]
    switch["additionalProperties"] = _or(switch["additionalProperties"], "null", "boolean")
    if registry is not None:
        for section, (kind, entry) in ENTRIES.items():
            _complete(schema, section, kind, entry, registry)
        _complete(schema, "data.mix", "source", MixEntry, registry)
    return schema


def _complete(schema: dict[str, Any], section: str, kind: str, entry: type[Entry], registry: Registry) -> None:
    """Puts the Configs of a kind into the schema: chosen by an entry's `type`, or by its name if it has none."""
    definitions, names = schema["$defs"], registry.names(kind)
    own = kind if section != "data.mix" else "mixed"
    for name in names:
        definitions |= _of(kind, name, entry, registry, own)
    general = definitions[entry.__name__]
    # a like-named component of a third party is always known as package/name
    general["properties"]["type"] |= {"anyOf": [{"enum": names}, {"type": "string", "pattern": "/"}]}
    general["allOf"] = [
        {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": _reference(own, name)}
        for name in names
    ]
    if section in ("data", "data.mix", "balance"):
        return
    holder = definitions["Evaluate"] if section == "evaluate" else schema["properties"][section]
    off = ("null", "boolean") if section == "evaluate" else ("null",)
    named = {
        name: _or(
            {
                "if": {"required": ["type"]},
                "then": {"$ref": f"#/$defs/{entry.__name__}"},
                "else": _reference(kind, name),
            },
            *off,
        )
        for name in names
        if "/" not in name
    }
    holder["properties"] = named | holder.get("properties", {})


def _of(kind: str, name: str, entry: type[Entry], registry: Registry, label: str) -> dict[str, Any]:
    """Definitions of one plug-in's entry: the host's keys and its Config's, and what that refers to."""
    own = _label(label, name)
    host = _relaxed(entry.model_json_schema())["properties"]
    try:
        plugin = registry.get(kind, name)
        config = _relaxed(plugin.Config.model_json_schema(ref_template=f"#/$defs/{own}.{{model}}"))
    except Exception:  # a third party's code: an editor's help must not end with it, `vlobj plugins` shows the fault
        return {own: {"type": "object", "properties": host}}
    inner = {f"{own}.{model}": value for model, value in config.get("$defs", {}).items()}
    return inner | {
        own: {
            "type": "object",
            "description": (plugin.__doc__ or "").strip().partition("\n")[0],
            "properties": host | config.get("properties", {}),
            "additionalProperties": config.get("additionalProperties", True),
        }
    }


def _label(kind: str, name: str) -> str:
    return f"{kind}:{name.replace('/', ':')}"


def _reference(kind: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{_label(kind, name)}"}


def _or(schema: dict[str, Any], *types: str) -> dict[str, Any]:
    return {"anyOf": [schema, *({"type": kind} for kind in types)]}


def _relaxed(schema: Any) -> Any:
    """The schema without pydantic's `required` (a property may have that name: then it is a mapping)."""
    if isinstance(schema, dict):
        return {
            key: _relaxed(value) for key, value in schema.items() if key != "required" or not isinstance(value, list)
        }
    return [_relaxed(value) for value in schema] if isinstance(schema, list) else schema
