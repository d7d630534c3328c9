"""The JSON Schema that editors get."""

import json
import textwrap

import pytest

from vlobjectives.recipe.jsonschema import json_schema
from vlobjectives.recipe.model import Recipe
from vlobjectives.registry import Registry

LOCAL = """
    from typing import ClassVar
    from pydantic import BaseModel, Field
    from vlobjectives import Mask, MaskConfig, hookimpl

    class Inner(BaseModel):
        depth: int = 1

    class Stripes(Mask):
        '''Hides stripes.

        More.'''
        class Config(MaskConfig):
            width: int = Field(description="patches a stripe")
            inner: Inner = Inner()

    @hookimpl
    def vlobj_components():
        return {"mask:stripes": Stripes, "mask:broken": "no_such_module:X"}
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    path = tmp_path_factory.mktemp("local") / "stripes.py"
    path.write_text(textwrap.dedent(LOCAL), encoding="utf-8")
    registry = Registry(blocked=["models", "common", "glscl", "data"], builtin_only=True)
    registry.add_file(path)
    return json_schema(registry)


def references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def required(value) -> bool:
    """Whether any key is required, outside the conditions that look for a `type`."""
    if isinstance(value, dict):
        inner = (one for key, one in value.items() if key != "if")
        return isinstance(value.get("required"), list) or any(required(one) for one in inner)
    return isinstance(value, list) and any(required(one) for one in value)


def test_every_reference_leads_somewhere_and_it_is_json(schema):
    for one in (schema, json_schema()):
        assert json.loads(json.dumps(one)) == one
        assert {name.removeprefix("#/$defs/") for name in references(one)} <= set(one["$defs"])


def test_it_describes_every_key_and_requires_none(schema):
    assert set(schema["properties"]) == {*Recipe.model_fields, "extends"}
    assert not required(schema)
    assert schema["additionalProperties"] is False
    assert all("description" in one for one in json_schema()["properties"].values())


def test_a_plugins_config_completes_its_entry(schema):
    entry = schema["$defs"]["mask:stripes"]
    assert entry["description"] == "Hides stripes." and entry["additionalProperties"] is False
    assert set(entry["properties"]) == {"type", "stream", "width", "inner"}
    assert entry["properties"]["width"]["description"] == "patches a stripe"
    assert entry["properties"]["inner"]["$ref"] == "#/$defs/mask:stripes.Inner"
    by_type = schema["$defs"]["MaskEntry"]["allOf"]
    assert {"$ref": "#/$defs/mask:stripes"} in [one["then"] for one in by_type]
    assert schema["properties"]["masks"]["properties"]["stripes"]["anyOf"][-1] == {"type": "null"}


def test_a_plugin_that_does_not_load_is_known_by_name(schema):
    assert set(schema["$defs"]["mask:broken"]["properties"]) == {"type", "stream"}
