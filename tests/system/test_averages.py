"""Averages of weights: whose, how they move, what runs on them, and that a run keeps them as it keeps its weights."""

import copy
import random
import time
from io import StringIO

import pytest
import torch
from process_runs import STILL, compare
from rich.console import Console
from safetensors.torch import load_file
from torch import nn
from trial_runs import lines, processes, recipe, run, same_weights, stream, until, weights

from vlobjectives import Objective, Term, ViewError, encoded, fused, joint
from vlobjectives.checking import check
from vlobjectives.costs import table
from vlobjectives.costs.measure import measure
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble, checkpoint
from vlobjectives.testing import Toy
from vlobjectives.testing.check import gradients, same, same_gradients
from vlobjectives.testing.toy_parts import ToyJoint
from vlobjectives.training.optimizer import Optimizer

LOOKED = {
    "masks": {"looked": {"type": "cls_attention"}},
    "objectives": {"itc": {}, "mgsc": {"image_mask": "looked", "text_mask": "hidden_words"}},
}


class Distil(Objective):
    """Takes the joint picture to where averaged weights put the picture and its caption."""

    def views(self, inputs):
        image, text = inputs["image"], inputs["text"]
        return {"live": joint(image), "image": joint(image).ema(), "text": joint(text).ema()}

    def forward(self, live, image, text, batch):
        return {"it": Term((live.pooled - image.pooled - text.pooled).square().sum(), batch.size)}


def distilling(**changes) -> Toy:
    return Toy(objectives={"it": {}}, components={"objective:it": Distil}, **changes)


# ---- views and plans


def test_an_averaged_view_is_another_pass_and_averages_all_that_it_is_fed():
    toy = Toy()
    image, text = toy.system().inputs["image"], toy.system().inputs["text"]
    view = fused(joint(image).of, encoded(text)).ema()
    assert view.averaged and view.image.averaged and view.text.averaged and view.run == view
    assert view.title == "fusion~ema(vision~ema(image), text~ema(text))"
    live = joint(encoded(image).ema().layer(0))
    assert not live.averaged and live.title == "joint(vision~ema(image))" and live.reads == "image~ema"
    assert view.reads == "image + text" and view.ema() == view
    assert encoded(image).layer(1).ema() == encoded(image).ema().layer(1) != encoded(image).layer(1)


def test_averaged_passes_are_run_once_and_never_trained():
    system = distilling().system()
    passes = {work.key.title: work for work in system.plan(("it",)).passes}
    assert list(passes) == [
        "vision(image)",
        "joint(vision(image))",
        "vision~ema(image)",
        "joint~ema(vision~ema(image))",
        "text~ema(text)",
        "joint~ema(text~ema(text))",
    ]
    assert [name for name, work in passes.items() if work.trained] == ["vision(image)", "joint(vision(image))"]
    found = gradients(system, system(distilling().batch(), 0).total)
    moved = {name.split(".")[1] for name, gradient in found.items() if gradient is not None and gradient.any()}
    assert moved == {"vision", "joint"}


def test_as_long_as_the_average_is_the_weight_the_pass_is_the_same():
    toy = Toy(**LOOKED)
    system, batch = toy.system(), toy.batch()
    image = system.bare["image"]
    views = {"live": fused(image, system.bare["text"]).layer(0), "averaged": fused(image, system.bare["text"]).ema()}
    with pytest.raises(ViewError, match="no average of the part 'text' is kept"):
        execute.run(of_views(system, views, "test"), system.stage(0), batch)
    views = {"live": encoded(image).layer(0), "averaged": encoded(image).ema().layer(0)}
    values = execute.run(of_views(system, views, "test"), system.stage(0), batch)
    live, averaged = (values[view.run] for view in views.values())
    assert torch.equal(live.tokens, averaged.tokens) and torch.equal(live.layers[0], averaged.layers[0])


def test_sharing_changes_nothing():
    toy = Toy(**LOOKED)
    one, other = toy.system(), toy.changed(plan={"share": "none"}).system()
    batch = toy.batch()
    for system in (one, other):
        with torch.no_grad():
            for weight in system.parameters():
                weight.add_(weight.sin())
        system.after_step()
    wanted, found = one(batch, 0), other(batch, 0)
    for name in wanted.terms:
        same(found.value(name), wanted.value(name), name)
    same_gradients(gradients(other, found.total), gradients(one, wanted.total))


# ---- averages


def test_only_what_is_looked_at_has_an_average_and_it_follows():
    """average_n = decay average_(n-1) + (1 - decay) weight_n, computed here; nothing else is kept or trained."""
    system = Toy(**LOOKED).system()
    assert list(system.averages.names) == ["vision"]
    assert not Toy().system().averages.names and not list(Toy().system().averages.buffers())
    vision, trained = system.model["vision"], {name for name, _ in system.named_parameters()}
    assert not any("averages" in name for name in trained)
    assert not any("averages" in name for name in Optimizer(system, Toy(**LOOKED).recipe.optim, 4).named)
    wanted = {name: weight.detach().clone() for name, weight in vision.named_parameters()}
    for _ in range(3):
        with torch.no_grad():
            for weight in vision.parameters():
                weight.copy_(torch.randn_like(weight))
        system.after_step()
        for name, weight in vision.named_parameters():
            wanted[name] = 0.996 * wanted[name] + 0.004 * weight.detach()
    found = system.averages.values()["vision"]
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert torch.allclose(found[name], wanted[name], rtol=0, atol=1e-12), name
    assert all(f"averages.weights.vision.{name}" in system.state_dict() for name in wanted)
    system.averages.start(system)
    assert all(torch.equal(found[name], weight) for name, weight in vision.named_parameters())


class Borrowing(ToyJoint):
    """A projection with a borrowed weight, a frozen one, and a buffer that counts its passes."""

    def __init__(self, config, image, text):
        super().__init__(config, image, text)
        self.borrowed = nn.Parameter(torch.zeros(1, image.width))
        self.frozen = nn.Parameter(torch.ones(()), requires_grad=False)
        self.register_buffer("passes", torch.zeros(()))

    def ties(self):
        return {"borrowed": "vision.classes"}

    def forward(self, x, of, want):
        self.passes += 1
        self.used = [self.borrowed]
        return super().forward(x, of, want)


def test_a_borrowed_weight_has_one_average_a_frozen_one_and_a_buffer_none():
    toy = distilling(model={"joint": {"type": "borrowing"}})
    toy = toy.changed(components={**toy.components, "projection:borrowing": Borrowing})
    system = toy.system()
    part, kept = system.model["joint"], system.averages.values()
    assert part.borrowed is system.model["vision"].classes
    assert kept["joint"]["borrowed"] is kept["vision"]["classes"]
    assert not {"frozen", "passes"} & kept["joint"].keys()
    with torch.no_grad():
        part.borrowed.add_(1.0)
    system.after_step()
    assert torch.allclose(part.borrowed - kept["joint"]["borrowed"], torch.full_like(part.borrowed, 0.996))
    system(toy.batch(), 0)
    assert part.used[0] is kept["joint"]["borrowed"] and part.passes == 1, "the last pass was of averages; one was not"
    other = toy.system()
    other.load_state_dict(copy.deepcopy(system.state_dict()))
    assert torch.equal(other.averages.values()["vision"]["classes"], kept["vision"]["classes"])


def test_averages_start_from_loaded_weights():
    system = Toy(**LOOKED).system()
    vision = system.model["vision"]

    def load_weights():
        with torch.no_grad():
            vision.classes.fill_(7.0)
        return []

    vision.load_weights = load_weights
    assemble.load_weights(system)
    assert (system.averages.values()["vision"]["classes"] == 7).all()


def test_they_begin_anew_from_the_weights_of_init(unstopped, tmp_path):
    """The other run's averages are not taken and not named, nor are they missed in one that has none."""
    path, there = unstopped
    for number, origin in enumerate((there, None)):
        out = tmp_path / f"second{number}"
        if origin is None:
            origin = tmp_path / "without"
            child = run(recipe(tmp_path), origin, "run.steps=2", "evaluate.losses=false")
            assert child.wait() == 0, child.text
        child = run(path, out, "run.steps=2", "evaluate.losses=false", f"init={origin}", "seed=4")
        assert child.wait() == 0, child.text
        began, was = load_file(out / "checkpoints" / "step-000000" / checkpoint.MODEL), weights(origin)
        kept = {name: value for name, value in began.items() if name.startswith("averages.")}
        assert kept
        for name, value in kept.items():
            assert torch.equal(value, was[name.replace("averages.weights", "model")]), name
        assert "averages.weights" not in (out / "log.txt").read_text(encoding="utf-8")


# ---- recipes


def test_the_decay_is_the_recipes_or_the_default(tmp_path):
    path = recipe(tmp_path)
    assert load(path).recipe.run.ema.decay == 0.996
    assert load(path, ["run.ema.decay=0.5"]).recipe.run.ema.decay == 0.5
    toy = Toy(**LOOKED)
    assert toy.system().averages.decay == 0.996


def averaging(folder):
    """The tiny recipe with completion under a mask of the averaged encoder's choice."""
    path = recipe(folder, objective="mgsc: {image_mask: looked, text_mask: noisy_words}")
    text = path.read_text(encoding="utf-8").replace("masks:\n", "masks:\n  looked: {type: cls_attention}\n")
    path.write_text(text, encoding="utf-8")
    return path


def test_an_evaluation_makes_no_average(tmp_path):
    path = recipe(
        tmp_path,
        "from vlobjectives import Evaluation, encoded, hookimpl\n\n\n"
        "class Watches(Evaluation):\n    def views(self, inputs):\n"
        "        return {'text': encoded(inputs['text']).ema()}\n\n\n"
        "@hookimpl\ndef vlobj_components():\n    return {'evaluation:watches': Watches}\n",
    )
    _, report = check(load(path, ["evaluate.watches={}"]), Registry())
    assert "of which no average is kept" in str(report.errors[0]) and "'text'" in str(report.errors[0])


def test_the_plan_counts_and_shows_them(tmp_path):
    path = averaging(tmp_path)
    less = ("objectives.mlm=null", "objectives.itm=null")
    at_random = "masks.looked={type: random_patches, ratio: 0.5, fill: drop}"
    found, bare = (measure(resolve(load(path, changes), Registry())) for changes in (less, [*less, at_random]))
    one = next(one for one in found.passes if one.part == "vision~ema")
    assert one.name == "vision~ema(image)" and one.consumers == ("mask looked",) and one.flops > 0
    assert found.averages == {"vision~ema": found.parameters["vision"]}
    assert found.memory.parts["weights"] - bare.memory.parts["weights"] == 4 * found.parameters["vision"]
    assert found.full.passes == bare.full.passes + 1 and bare.averages == {} == table.data(bare)["averages"]
    assert sum(found.parameters.values()) == sum(bare.parameters.values())
    shown = StringIO()
    Console(width=120, file=shown).print(table.renderable(found))
    assert "1 vision~ema" in shown.getvalue() and "by averaged weights" in shown.getvalue()


# ---- runs


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("averages")
    path = averaging(folder)
    child = run(path, folder / "run", "data.micro_batch=4")
    assert child.wait() == 0, child.text
    return path, folder / "run"


def test_killed_and_taken_up_they_are_bit_identical(unstopped, tmp_path):
    path, whole = unstopped
    out, dice = tmp_path / "run", random.Random(0)
    for reached in (5, 10):
        child = run(path, out, "data.micro_batch=4")
        until(lambda reached=reached: len(lines(out)) >= reached, child)
        time.sleep(dice.uniform(0, 0.06))
        child.kill()
        assert child.wait() == -9, child.text
    child = run(path, out, "data.micro_batch=4")
    assert child.wait() == 0, child.text
    assert stream(out) == stream(whole)
    same_weights(out, whole)
    kept = {name: value for name, value in weights(out).items() if name.startswith("averages.weights.vision.")}
    live = weights(out)
    assert kept and not all(
        torch.equal(value, live[name.replace("averages.weights", "model")]) for name, value in kept.items()
    )


def test_two_processes_keep_the_same_averages_as_one(tmp_path, port):
    path = averaging(tmp_path)
    alone = run(path, tmp_path / "alone", *STILL)
    assert alone.wait() == 0, alone.text
    children = processes(path, tmp_path / "run", port, 2, *STILL)
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    compare(tmp_path / "run", tmp_path / "alone")
    assert any(name.startswith("averages.") for name in weights(tmp_path / "run"))
