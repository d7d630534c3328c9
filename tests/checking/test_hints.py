"""The hint for a value of the wrong type is a line with a value that the key takes, for every key of every Config."""

from collections.abc import Iterator

import pytest
import yaml
from pydantic import BaseModel
from small_recipes import changed, vlobj

from vlobjectives import MaskName
from vlobjectives.recipe import hints, known_keys
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.yaml import parse
from vlobjectives.registry import Registry

WRONG = ("fast", "", [], ["x"], {"x": 1}, 3, -1, 0.5, True, None, "50%", "10k", 10**12)
KINDS = ("part", "mask", "objective", "pairing", "source", "reader", "evaluation")


def keys_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[type[BaseModel], tuple[str, ...]]]:
    """Every key of a model and of the models that it holds."""
    for name in known_keys.fields(model):
        yield model, (*path, name)
        for inner in known_keys._models((name,), model):
            yield from keys_of(inner)


def everything() -> Iterator[tuple[type[BaseModel], tuple[str, ...]]]:
    yield from keys_of(Recipe)
    registry = Registry()
    for kind in KINDS:
        for name in registry.names(kind):
            yield from keys_of(registry.get(kind, name).Config)


def test_what_is_offered_fits():
    tried = set()
    for model, (name,) in everything():
        field = known_keys.field((name,), model)
        for value in WRONG:
            if hints.takes(field, value):
                continue
            line = hints.line(model, (name,), value, {})
            assert line, (model, name, value)
            data = parse(line, "a hint").data
            assert list(data) == [name] and hints.takes(field, data[name]), (model, name, value, line)
            assert yaml.safe_load(line).keys() == {name}
            tried.add((model, name))
    assert len(tried) > 200


def test_of_several_names_all_are_offered():
    class Config(BaseModel):
        mask: MaskName

    assert hints.line(Config, ("mask",), 3, {"mask": ["a"]}) == "mask: a"
    assert hints.line(Config, ("mask",), 3, {"mask": ["a", "b"]}) == "name one of a, b"


@pytest.mark.parametrize(
    ("change", "override", "says"),
    [
        ({}, "optim.lr=fast", "hint: lr: 0.001"),
        ({}, "optim.lr=2e-4x", "hint: lr: 0.0002"),
        ({}, "optim.betas=[0.9,x]", "hint: betas: [0.9, 0.98]"),
        ({}, "optim.schedule={warmup: 10%}", "hint: warmup: 0.1"),
        ({}, "run.steps=many", "hint: steps: 8"),
        ({}, "run.steps=10k", "hint: steps: 10000"),
        ({}, "run.device=gpu", "hint: device: cuda"),
        ({}, "evaluate.losses=3", "hint: losses: true"),
        ({}, "evaluate.splits=test", "hint: write [test]"),
        ({}, "masks.dropped.ratio=1.8", "hint: ratio: 0.5"),
        ({}, "objectives.mlm.mask=3", "hint: name one of dropped, replaced, hidden_words"),
        ({}, "objectives.itc.weight=heavy", "hint: weight: 1.0"),
        ({}, "data.samples=many", "hint: samples: 16000"),
        ({}, "model.fusion.looks=3", "hint: looks: both"),
        ({}, "run.name=3", "hint: name: '3'"),
    ],
)
def test_in_a_check(change, override, says, tmp_path, capsys):
    ended = vlobj(capsys, "plan", changed(tmp_path, change, whole=True), override)
    assert ended.code == 2 and says in ended.err, ended.err
