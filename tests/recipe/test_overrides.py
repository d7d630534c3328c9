"""Overrides on the command line."""

import pytest

from vlobjectives.errors import Place, RecipeError
from vlobjectives.recipe import load


@pytest.mark.parametrize(
    "override, path, value",
    [
        ("optim.lr=1e-4", ("optim", "lr"), 1e-4),
        ("optim.lr=1", ("optim", "lr"), 1),
        ("run.compile=parts", ("run", "compile"), "parts"),  # known, not written
        ("plan.published=[[itc], [mgsc]]", ("plan", "published"), [["itc"], ["mgsc"]]),
        ("optim.schedule.floor=0.1", ("optim", "schedule", "floor"), 0.1),
        ("optim.groups.0.lr=0.5", ("optim", "groups", 0, "lr"), 0.5),
        ("optim.groups.0.weight_decay=0", ("optim", "groups", 0, "weight_decay"), 0),
        ("objectives.itc.weight=0", ("objectives", "itc", "weight"), 0),
        ("objectives.mgsc.weight.1.1=0.4", ("objectives", "mgsc", "weight", 1, 1), 0.4),
        ("objectives.itc.temperature=0.1", ("objectives", "itc", "temperature"), 0.1),  # the plug-in's own key
        ("data.samples=100", ("data", "samples"), 100),
        ("model.text.config.hidden_size=64", ("model", "text", "config", "hidden_size"), 64),
        ("evaluate.rerank=true", ("evaluate", "rerank"), {"type": "rerank"}),
        ("evaluate.rerank.top=8", ("evaluate", "rerank"), {"type": "rerank", "top": 8}),
        ("fields.caption.with=words", ("fields", "caption", "with"), "words"),
        ("masks.dropped.stream=off", ("masks", "dropped", "stream"), "off"),
        ("run.checkpoint.keep=5", ("run", "checkpoint", "keep"), 5),
    ],
)
def test_what_can_be_overridden(small, override, path, value):
    loaded = load(small, [override])
    assert loaded.layered.at(path) == value
    assert loaded.place(*path) == Place("command line")


def test_mappings_merge_and_null_takes_away(small):
    recipe = load(small, ["objectives.mgsc=null", "model.text={dropout: 0.0}", "run.checkpoint={keep: 3}"]).recipe
    assert list(recipe.objectives) == ["itc"] and recipe.run.checkpoint.keep == 3
    assert recipe.model["text"].options == {"config": {"hidden_size": 32}, "dropout": 0.0}


def test_null_takes_keys_away(small):
    recipe = load(small, ["optim.groups=null", "optim.schedule.warmup=null", "objectives.mgsc.weight=null"]).recipe
    assert recipe.optim.groups == () and recipe.optim.schedule.warmup == 0 and recipe.objectives["mgsc"].weight == 1.0
    assert load(small, ["optim.clip=null"]).recipe.optim.clip is None, "null is a value of it: no clipping"


def test_the_last_one_wins_and_an_element_is_merged(small):
    recipe = load(small, ["optim.lr=1.0", "optim.lr=2.0", "optim.groups.0={lr: 3.0}"]).recipe
    assert recipe.optim.lr == 2.0 and recipe.optim.groups[0].lr == 3.0
    assert recipe.optim.groups[0].match == "model.text.*"


@pytest.mark.parametrize(
    "override, path, what, hint",
    [
        ("optim.lr", "", "'optim.lr' is no override", "key.path=value"),
        ("=3", "", "'=3' is no override", "key.path=value"),
        ("lr=1e-4", "lr", "there is no key 'lr'", "did you mean optim.lr"),
        ("optim.ler=1", "optim.ler", "there is no key 'ler' in optim", "did you mean optim.lr?"),
        ("optm.lr=1", "optm.lr", "there is no key 'optm'", "did you mean optim?"),
        ("weight_decay=0", "weight_decay", "there is no key", "did you mean optim.weight_decay"),
        ("objectives.itm.weight=1", "objectives.itm.weight", "there is no key 'itm' in objectives", "objectives.itc?"),
        ("masks.new={ratio: 1}", "masks.new", "there is no key 'new' in masks", "keys here: dropped"),
        ("model.text.config.hiden_size=1", "model.text.config.hiden_size", "no key 'hiden_size'", "hidden_size?"),
        (
            "optim.groups.1.lr=1",
            "optim.groups.1.lr",
            "there is no key '1'",
            "a list of 1: name an element by its number",
        ),
        ("optim.groups.x=1", "optim.groups.x", "there is no key 'x'", "a list of 1"),
        ("optim.lr.x=1", "optim.lr.x", "there is no key 'x' in optim.lr", "optim.lr holds no keys"),
        ("seed.=1", "seed.", "there is no key '' in seed", "holds no keys"),
        ("extends=glscl", "extends", "there is no key 'extends'", "keys here"),
        ("optim.lr=[1", "optim.lr", "expected ',' or ']'", "brackets"),
        ("optim.lr=.inf", "optim.lr", "numbers must be finite", "number"),
        ("data.batch=null", "data.batch", "the key 'batch' is missing", "pairs per optimiser step"),
        ("optim.groups.0=null", "optim.groups.0", "null must be a mapping", "groups: []"),
        ("optim.lr=fast", "optim.lr", '"fast" must be a number', "learning rate"),
        ("data.batch=1_000", "data.batch", '"1_000" must be a whole number', "write 1000"),
    ],
)
def test_what_cannot(small, override, path, what, hint):
    with pytest.raises(RecipeError) as caught:
        load(small, [override])
    (problem,) = caught.value.problems
    assert problem.path == path and what in problem.what and hint in problem.hint
    assert problem.place == Place("command line")


def test_all_wrong_overrides_at_once(small):
    with pytest.raises(RecipeError) as caught:
        load(small, ["lr=1", "seed=3", "x.y=2"])
    assert [problem.path for problem in caught.value.problems] == ["lr", "x.y"]
