"""Averages of modules that objectives own or name: a teacher's head, called on averaged weights."""

import json
import math
from contextlib import nullcontext
from io import StringIO

import pytest
import torch
from pydantic import TypeAdapter
from rich.console import Console
from small_recipes import changed, plugin
from torch import nn
from toy_training import over_processes, stepped, trainer

from vlobjectives import Objective, ObjectiveConfig, PartName, Term, joint
from vlobjectives.checking import check
from vlobjectives.costs import table
from vlobjectives.costs.measure import measure
from vlobjectives.data.loader import Layout, micro_batches
from vlobjectives.data.streams import training
from vlobjectives.errors import PluginError, RecipeError
from vlobjectives.recipe import load
from vlobjectives.recipe.times import Decay
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system.averages import callables
from vlobjectives.testing import Toy
from vlobjectives.testing.check import gradients, same


class Teaches(Objective):
    """A head with a shared, a frozen and a dropped weight and a buffer; and a part."""

    averaged = frozenset({"head", "spoken"})

    class Config(ObjectiveConfig):
        spoken: PartName = "vision"

    def views(self, inputs):
        return {"x": joint(inputs["image"]), "teacher": joint(inputs["image"]).ema()}

    def build(self, x):
        self.head = nn.Sequential(
            nn.Linear(x.pooled, 6), nn.Dropout(0.5), nn.BatchNorm1d(6, affine=False), nn.Linear(6, 6, bias=False)
        )
        self.head[3].weight.requires_grad_(False)

    def forward(self, x, teacher, averaged, batch):
        assert set(averaged) == {"head", "spoken"}
        target = averaged["head"](teacher.pooled)
        assert x.pooled.requires_grad and not averaged["head"](x.pooled).requires_grad
        return {"it": Term((self.head[0](x.pooled) - target).square().sum(), batch.size)}


def teaching(cls=Teaches, **options) -> Toy:
    return Toy(objectives={"it": options}, components={"objective:it": cls})


def test_it_is_called_in_eval_mode_on_the_averages_and_changes_nothing():
    toy = teaching()
    system = toy.system(train=True)
    objective = system.objectives["it"]
    x = torch.randn(8, objective.head[0].in_features, dtype=torch.float64)
    module = callables(system, "it")["head"]
    assert torch.equal(module(x), module(x)), "no dropout"
    objective.eval()
    same(module(x), objective.head(x), "as long as the average is the weight")
    objective.train()
    with torch.no_grad():
        objective.head[0].weight.add_(1.0)
    assert not torch.equal(module(x), objective.head.eval()(x))
    objective.head.train()
    before = {name: value.clone() for name, value in objective.named_buffers()}
    module(x)
    assert all(torch.equal(value, before[name]) for name, value in objective.named_buffers())
    assert all(one.training for one in objective.head.modules())
    was = module(x)
    objective.head[2].running_mean.fill_(3.0)
    assert not torch.equal(module(x), was), "buffers are those of now"
    found = gradients(system, system(toy.batch(), 0).total)
    assert any(name.startswith("objectives.it.head") for name in found)


def test_they_follow_are_saved_and_are_not_trained():
    of = trainer(teaching(), Layout(8, 8))
    system = of.system
    kept = system.averages.values()
    assert kept["it.head"].keys() == {"0.weight", "0.bias"}, "the frozen weight and the buffers have no average"
    assert kept["vision"].keys() == {name for name, _ in system.model["vision"].named_parameters()}
    assert not any("averages" in name for name in of.optimiser.named)
    wanted = kept["it.head"]["0.weight"].clone()
    head = system.objectives["it"].head[0].weight
    for _ in range(3):
        stepped(teaching(), 1, Layout(8, 8), of)
        wanted = 0.996 * wanted + 0.004 * head.detach()
    same(system.averages.values()["it.head"]["0.weight"], wanted, "the average")
    saved = system.state_dict()
    assert torch.equal(saved["averages.objectives.it.head.0.weight"], kept["it.head"]["0.weight"])
    assert not torch.equal(wanted, head)


def _rank(rank: int) -> dict:
    return stepped(teaching(), 3, Layout(8, 4, 2, rank)).system.state_dict()


def test_two_processes_equal_one(port, tmp_path):
    one, other = over_processes(_rank, port, tmp_path)
    whole = stepped(teaching(), 3, Layout(8, 4)).system.state_dict()
    for name, value in whole.items():
        assert torch.equal(one[name], other[name]), name
        same(one[name], value, name)
    assert "averages.objectives.it.head.0.weight" in whole


class Bounded(Objective):
    """Of averaged views alone."""

    def views(self, inputs):
        return {"x": joint(inputs["image"]), "teacher": joint(inputs["image"]).ema()}

    def forward(self, x, teacher, batch):
        return {"it": Term((x.pooled - teacher.pooled.flip(0)).square().sum(), batch.size)}


@pytest.mark.parametrize(
    ("decay", "values"),
    [
        ([[0, 0.5], [2, 0.9]], (0.5, 0.7, 0.9)),
        ({"from": 0.2, "to": 1.0}, (0.2, 0.6 - 0.4 * math.sqrt(0.5), 0.6)),
        (0.25, (0.25, 0.25, 0.25)),
    ],
)
def test_the_decay_of_a_step_is_the_schedules(decay, values):
    """average_s = decay(s) average_(s-1) + (1 - decay(s)) weight_s; four steps in all."""
    of = trainer(teaching(Bounded), Layout(8, 8))
    system = of.system
    system.keep_averages(TypeAdapter(Decay).validate_json(json.dumps(decay), strict=True))
    weight = system.model["joint"].temperature
    wanted = weight.detach().clone()
    data = training(teaching(Bounded).data_module.feeds, of.layout, 0)
    batches = micro_batches(data, 0, 3, 0, False)
    for step, value in enumerate(values):
        metrics = of.step(step, batches)
        assert metrics.get("ema_decay", decay) == (decay if decay == 0.25 else pytest.approx(value))
        wanted = value * wanted + (1 - value) * weight.detach()
    same(system.averages.values()["joint"]["temperature"], wanted, "the average")
    with pytest.raises(RecipeError, match="is not told the step") if decay != 0.25 else nullcontext():
        system.after_step()
    system.after_step(system(teaching(Bounded).batch(), 3))


# ---- slips

CODE = """
    from torch import nn
    from vlobjectives import Objective, Term, hookimpl, joint

    class Taught(Objective):
        averaged = frozenset({"head"})

        def views(self, inputs):
            return {"x": joint(inputs["image"])}

        def build(self, x):
            self.head = nn.Linear(x.pooled, 6)

        def forward(self, x, averaged):
            gap = (self.head(x.pooled) - averaged["head"](x.pooled)).square().sum()
            return {"gap": Term(gap, len(x.pooled))}

    @hookimpl
    def vlobj_components():
        return {"objective:taught": Taught}
"""


def small(folder, old="", new=""):
    assert not old or CODE.count(old) == 1
    plugin(folder, CODE.replace(old, new) if old else CODE, "taught.py")
    return changed(folder, {"objectives:\n": "plugins: [taught.py]\nobjectives:\n  taught: {}\n"})


@pytest.mark.parametrize(
    ("old", "new", "what", "hint"),
    [
        (
            'frozenset({"head"})',
            'frozenset({"haed"})',
            "`averaged` of Taught names 'haed': did you mean 'head'?",
            "there is head",
        ),
        ("x, averaged):", "x, averaged=None, other=None):", "", ""),
        ("x, averaged):", "x):", "`averaged` names head, and forward does not ask for `averaged`", "averaged[name](x)"),
        (
            'averaged = frozenset({"head"})',
            "",
            "forward asks for averaged, and is given x, batch, noise, gather",
            "call",
        ),
    ],
)
def test_a_slip_is_found_by_check(tmp_path, old, new, what, hint):
    _, report = check(load(small(tmp_path, old, new), ["evaluate=null"]), Registry())
    if not what:
        assert not report.errors
        return
    assert (
        what in str(report.errors[0]) and hint in str(report.errors[0]) and "objectives.taught" in str(report.errors[0])
    )
    assert len(report.errors) == 1


def test_what_is_no_set_is_said_when_the_class_is_made():
    with pytest.raises(PluginError, match=r"`averaged` of .*Wrong is 'head', and it must be a set of words") as error:

        class Wrong(Objective):
            averaged = "head"

    assert error.value.place.file == __file__


def test_the_plan_shows_them_and_a_decay_is_no_slip(tmp_path):
    path = small(tmp_path)
    found = measure(resolve(load(path), Registry()))
    assert found.averages == {"taught.head~ema": 32 * 6 + 6}
    shown = StringIO()
    Console(width=120, file=shown).print(table.renderable(found))
    assert "Run by averaged weights, without gradient: 198 of taught.head~ema" in shown.getvalue()
    _, report = check(load(path, ["run.ema.decay=0.9", "evaluate=null"]), Registry())
    assert not report.errors and not [note for note in report.notes if "ema" in note.path]
