"""Every number of a recipe, of a sweep and of a built-in's Config has bounds; what lies beyond is refused at once."""

import pytest
from small_recipes import changed, vlobj

from vlobjectives.recipe.model import CheckpointSection, Recipe
from vlobjectives.registry import Registry
from vlobjectives.sweeping.sweep_file import Sweep
from vlobjectives.training import schedule

LOWER, UPPER = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}


def loose(schema, path=""):
    """Where a JSON schema has a number without a lower or an upper bound; a choice of numbers needs none."""
    if isinstance(schema, dict):
        if (
            schema.get("type") in ("integer", "number")
            and not {"enum", "const"} & schema.keys()
            and not (LOWER & schema.keys() and UPPER & schema.keys())
        ):
            yield path
        for key, inner in schema.items():
            yield from loose(inner, f"{path}/{key}")
    elif isinstance(schema, list):
        for number, inner in enumerate(schema):
            yield from loose(inner, f"{path}/{number}")


def test_every_number_has_bounds():
    registry, found = Registry(), {}
    for row in registry.all():
        found[f"{row.kind} {row.name}"] = list(loose(registry.get(row.kind, row.name).Config.model_json_schema()))
    found |= {model.__name__: list(loose(model.model_json_schema())) for model in (Recipe, Sweep)}
    assert len(found) > 40
    assert {name: paths for name, paths in found.items() if paths} == {}


@pytest.mark.parametrize(
    "override",
    [
        "run.steps=9223372036854775807",
        "run.checkpoint.steps=9223372036854775807",
        "run.checkpoint.keep=1000000000",
        "evaluate.every.steps=100000000000",
        "optim.schedule.warmup=9223372036854775807",
        "optim.lr=1e300",
        "objectives.itc.weight=1e300",
        "objectives.itc.weight=[[0, 0], [9223372036854775807, 1]]",
        "data.batch=9223372036854775807",
        "data.workers=100000",
        "data.image_size=9223372036854775807",
        "data.samples=9223372036854775807",
        "fields.caption.size=2147483648",
        "fields.caption.length=2147483648",
        "model.vision.depth=1000000000",
        "model.vision.width=1000000000",
        "model.vision.patch=4294967296",
        "model.joint.temperature=1e300",
        "model.text.config.num_hidden_layers=1000000000",
        "model.text.config.hidden_size=9223372036854775807",
        "evaluate.retrieval.gallery=9223372036854775807",
    ],
)
def test_what_cannot_be_meant_is_refused(override, tmp_path, capsys):
    ended = vlobj(capsys, "plan", changed(tmp_path, {}), override)
    key, _, value = override.partition("=")
    assert ended.code == 2
    assert key in ended.err or f"{key.rpartition('.')[2]}: {value}" in ended.err


@pytest.mark.parametrize(
    ("when", "steps", "due"),
    [
        (CheckpointSection(), 10, []),
        (None, 10, []),
        (CheckpointSection(steps=4), 10, [4, 8]),
        (CheckpointSection(share=0.5), 10, [5, 10]),
    ],
)
def test_when_something_is_due(when, steps, due):
    assert list(schedule.every(when, steps)) == due


def test_a_long_run_keeps_no_list_of_its_steps():
    due = schedule.every(CheckpointSection(steps=4), 10**9)
    assert 10**9 in due and 4 in due and 5 not in due
    assert isinstance(due, range)
