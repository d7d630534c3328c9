"""Inputs of one encoder as the rows of one pass: the numbers of single passes, dropout included; what stays apart."""

from dataclasses import replace
from itertools import count

import pytest
import torch
from rich.console import Console
from timm.layers.drop import DropPath
from torch import nn

from vlobjectives import Objective, ObjectiveConfig, Term, encoded
from vlobjectives.contracts.passes import Input, MaskKey, RequestedOutputs
from vlobjectives.contracts.views import EncodedView
from vlobjectives.costs.measure import measure
from vlobjectives.costs.table import data, renderable
from vlobjectives.planning.node import PlanNode
from vlobjectives.planning.stacks import with_stacks
from vlobjectives.plugin_loading.attribution import ContractError
from vlobjectives.system import assemble
from vlobjectives.testing import Toy
from vlobjectives.testing.check import gradients
from vlobjectives.testing.process_checks import ranks_equal_one
from vlobjectives.testing.toy_parts import ToyText

FORMS = {
    "plain": lambda x: (x["text"], x["other"]),
    "masked alike": lambda x: (x["text"].masked("hidden_words"), x["other"].masked("hidden_words")),
    "pictures": lambda x: (x["image"], x["second"]),
    "dropped": lambda x: (x["image"].masked("dropped"), x["second"].masked("dropped")),
    "greyed": lambda x: (x["image"].masked("greyed"), x["second"].masked("greyed")),
    "averaged": lambda x: (encoded(x["text"]).ema(), encoded(x["other"]).ema()),
    "layers": lambda x: (encoded(x["image"]).layer(0), encoded(x["second"]).layer(0)),
    "one masked": lambda x: (x["text"].masked("hidden_words"), x["other"]),
    "masked unlike": lambda x: (x["text"].masked("hidden_words"), x["other"].masked("noisy_words")),
    "one averaged": lambda x: (encoded(x["text"]).ema(), x["other"]),
    "one with maps": lambda x: (encoded(x["text"]).with_maps(), x["other"]),
    "smaller": lambda x: (x["image"], x["small"]),
}
STACKED = ("plain", "masked alike", "pictures", "dropped", "greyed", "averaged", "layers")


class Squares(Objective):
    """Sums over two views, so that each position has a gradient of its own."""

    class Config(ObjectiveConfig):
        form: str = "plain"

    def views(self, inputs):
        views = (x if hasattr(x, "reading") else encoded(x) for x in FORMS[self.config.form](inputs))
        return dict(zip(("one", "other"), views, strict=True))

    def forward(self, one, other):
        kept = [torch.where(x.valid[..., None], x.tokens, 0.0) for x in (one, other)]
        cubes = sum((x**power).sum() for x, power in zip(kept, (2, 3)))
        return {"sum": Term(cubes + sum(x.sum() for x in one.layers.values()), len(one.tokens))}


def toy(form: str = "plain", **more) -> Toy:
    inputs = {"other": {"fields": ["caption"], "part": "text"}, "second": {"fields": ["second"], "part": "vision"}}
    options = {"data": {"second": 8 if form == "smaller" else 16}, "dropout": 0.2, **more}
    if form == "smaller":
        inputs = {"other": inputs["other"], "small": inputs.pop("second")}
    return Toy(
        objectives={"squares": {"form": form}, "itc": {}},
        components={"objective:squares": Squares, **more.pop("components", {})},
        inputs=inputs,
        **{key: value for key, value in options.items() if key != "components"},
    )


def stacks(system) -> list[str]:
    return [work.key.title for work in system.plan(system.live(0)).passes if len(work.key.members) > 1]


def changed_dropout(system) -> None:
    """Every dropout on, and timm's depth dropped at random."""
    for module in system.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.15
        if hasattr(module, "drop_path1"):
            module.drop_path1 = DropPath(0.3).train()


def check_same(toy: Toy, names=None, at_most: float = 1e-10) -> None:
    """Terms and gradients of stacked and single passes, twice, in training mode."""
    batch, found = toy.batch(), []
    for stack in (True, False):
        system = toy.changed(plan={**toy.plan, "stack": stack}).system(train=True)
        changed_dropout(system)
        assert bool(stacks(system)) is stack
        for step in (0, 1):
            losses = system(batch, step)
            found.append(
                {key: term.total.detach() for key, term in losses.terms.items()} | gradients(system, losses.total)
            )
    for together, apart in zip(found[:2], found[2:], strict=True):
        assert together.keys() == apart.keys()
        for key, value in together.items():
            assert (value - apart[key]).abs().max() <= at_most * max(1.0, float(apart[key].abs().max())), key
    assert any((found[0][key] - found[1][key]).abs().max() > 1e-6 for key in found[0]), "no dropout was drawn"


@pytest.mark.parametrize("form", STACKED)
def test_stacked_passes_give_what_single_ones_give(form):
    check_same(toy(form))


def test_a_stacked_pass_is_recomputed_with_the_same_dropout():
    check_same(toy("plain", plan={"checkpoint": ["text", "vision"]}))


BERT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
REAL = {
    "bert": {"text": {"type": "hf_text", "config": {"model_type": "bert", **BERT}}},
    "prelayernorm": {"text": {"type": "hf_text", "config": {"model_type": "roberta-prelayernorm", **BERT}}},
    "causal": {"text": {"type": "causal_text", "width": 16, "depth": 2, "heads": 2}},
    "timm": {"vision": {"type": "timm_vision", "patch": 4, "width": 16, "depth": 2, "heads": 2}},
    "conv": {"vision": {"type": "timm_vision", "patch": 4, "width": 16, "depth": 1, "heads": 2, "stem": "conv"}},
}


@pytest.mark.parametrize("name", REAL)
def test_real_encoders_give_the_same_stacked(name):
    part, model = next(iter(REAL[name])), {"fusion": None, "decoder": None, "words": None, **REAL[name]}
    check_same(toy({"text": "plain", "vision": "dropped"}[part], model=model))


@pytest.mark.parametrize("form", [form for form in FORMS if form not in STACKED])
def test_what_is_not_alike_stays_by_itself(form):
    alone = toy(form).changed(objectives={"squares": {"form": form}})
    assert not stacks(alone.system())


class Normed(ToyText):
    """Batch statistics, as it does not say that its rows may be stacked."""

    def __init__(self, config, fields):
        super().__init__(config, fields)
        self.norm = nn.BatchNorm1d(config.width)
        self.spec = replace(self.spec, can=self.spec.can - {"stack"})

    def forward(self, x, draw, want):
        value = super().forward(x, draw, want)
        return replace(value, tokens=self.norm(value.tokens.mT).mT)


class Draws(ToyText):
    """Draws one number for all of its rows, and says that they may be stacked."""

    def forward(self, x, draw, want):
        value = super().forward(x, draw, want)
        return replace(value, tokens=value.tokens * torch.rand(()))


def with_text(cls) -> Toy:
    return toy(model={"text": {"type": "mine"}}, components={"encoder:mine": cls})


def test_a_part_is_stacked_only_where_it_says_so():
    assert not stacks(with_text(Normed).system())
    assert stacks(toy().system()) == ["text(text; other)"]


def test_what_is_drawn_for_all_inputs_at_once_is_refused():
    mine = with_text(Draws)
    with pytest.raises(ContractError, match=r"says `stack`.*draws random numbers") as caught:
        mine.system(train=True)(mine.batch(), 0)
    assert "plan.stack=false" in caught.value.hint
    mine.system()(mine.batch(), 0)


def test_the_recipe_and_a_compiler_keep_passes_apart():
    assert not stacks(toy(plan={"stack": False}).system())
    system = toy().system()
    system.model["text"].compile(backend="eager")
    assert not stacks(system)
    resolved = toy().resolved
    run = resolved.recipe.run.model_copy(update={"compile": "parts"})
    recipe = resolved.recipe.model_copy(update={"run": run})
    compiled = replace(resolved, loaded=replace(resolved.loaded, recipe=recipe))
    assert not stacks(assemble.system(compiled, toy().data_module))


def test_a_mask_that_looks_at_the_other_input_keeps_both_apart():
    """Whatever order passes are entered in, each runs after what it needs."""
    views = [EncodedView("text", Input(name, "text", "m")) for name in ("a", "b", "c")]
    draws, numbers = [view.required[0] for view in views], count()
    needs = {view: {draw} for view, draw in zip(views, draws)} | {draws[1]: {views[0]}}
    work = [
        PlanNode(key, RequestedOutputs(), (f"o{next(numbers)}",), True)
        for key in (draws[0], views[0], draws[1], views[1], draws[2], views[2])
    ]
    assert with_stacks(work, needs, lambda view: "alike") == tuple(work)
    del needs[draws[1]]
    found = with_stacks(work, needs, lambda view: "alike")
    assert [node.key.title for node in found] == ["m on a", "m on b", "m on c", "text(a * m; b * m; c * m)"]
    assert isinstance(found[0].key, MaskKey) and found[-1].consumers == ("o1", "o3", "o5")


def test_two_processes_are_one():
    ranks_equal_one(toy().changed(objectives={"squares": {}}, dropout=0.0), "squares")


def test_a_plan_says_which_inputs_share_a_pass():
    together, apart = (measure(toy(plan={"stack": stack}).resolved) for stack in (True, False))
    one = next(one for one in together.passes if one.stacked)
    assert (one.name, one.reads, one.rows) == ("text(text; other)", "text; other", 16)
    assert one.stacked == ("text", "other") and set(one.consumers) == {"squares", "itc"}
    assert not any(one.stacked for one in apart.passes)
    assert one.flops == sum(each.flops for each in apart.passes if each.part == "text")
    assert together.full.forward == apart.full.forward
    assert together.schedules["unshared"].forward == apart.schedules["unshared"].forward
    assert together.schedules["planned"].passes["text"] == 1 and apart.schedules["planned"].passes["text"] == 2
    console = Console(width=120)
    with console.capture() as caught:
        console.print(renderable(together))
    assert "Rows of one pass of text: text, other." in caught.get()
    assert next(entry for entry in data(together)["passes"] if entry["stacked"])["stacked"] == ("text", "other")
