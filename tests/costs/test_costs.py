"""Costs against hand arithmetic; no expectation here uses a FLOP counter."""

import math
from collections import Counter

import pytest
import torch
from planned import THIN, costs, recipe

from vlobjectives.costs import fake
from vlobjectives.costs import plan_costs as arithmetic
from vlobjectives.costs.meter import Meter
from vlobjectives.costs.shape_check import build, troubles
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe.times import weight_at

BASE = "glscl_base"
D, PATCHES, T, VOCABULARY = 768, 324, 50, 50265
"""Width, patches at 288 pixels, text tokens and vocabulary of the published model."""


# A multiply-add is two FLOPs; only matrix products count. MACs of the published model, by hand.


def block(n: int) -> int:
    """A ViT block or a text layer on n tokens: qkv and output 4, MLP 8 times n D^2, and two products of n x n x D."""
    return 12 * n * D**2 + 2 * n**2 * D


def vision(n: int) -> float:
    """GFLOP: all patches are embedded, later dropped or not; eleven blocks; METER's transform."""
    return 2e-9 * (PATCHES * D * D + 11 * block(n) + n * D**2)


def text() -> float:
    return 2e-9 * (12 * block(T) + T * D**2)


def fusion(n: int) -> float:
    """Six layers of two streams: self 4, cross q and o 2, MLP 8, cross k and v 2, and attention; both poolers."""
    layer = 16 * (T + n) * D**2 + 2 * (T**2 + n**2) * D + 4 * T * n * D
    return 2e-9 * (6 * layer + 2 * D**2)


EXPECTED = {
    "image": vision(325),
    "image (replaced)": vision(325),
    "image (dropped)": vision(65),
    "text": text(),
    "text (noisy_words)": text(),
    "text (hidden_words)": text(),
    "image + text, 50% wrong (others)": fusion(325),
    "image + text (noisy_words)": fusion(325),
    "image (dropped) + text": fusion(65),
    "image + text (hidden_words)": fusion(325),
    "image (replaced) + text": fusion(325),
}
MLM_HEAD = 2e-9 * 8 * (D * D + D * VOCABULARY)
MLTC = 2e-9 * (1552**2 + 320**2) * D / 16
"""Two similarity matrices of a micro-batch of 16: 97 patches a picture, room for 20 words a caption."""
JOINT = 2e-9 * (D * D + D * 512)


def giga(flops: int) -> float:
    return flops / 16 / 1e9


def test_every_pass_of_the_published_model_costs_what_the_arithmetic_says():
    found = {one.reads: giga(one.flops) for one in costs(BASE).passes if one.kind != "joint"}
    assert found == pytest.approx(EXPECTED, rel=0.01)
    joint = [giga(one.flops) for one in costs(BASE).passes if one.kind == "joint"]
    assert joint == pytest.approx([JOINT, JOINT], rel=0.01)


def test_the_hand_arithmetic_is_that_of_the_specification():
    """The table of GLSCL's costs, GFLOP a sample, transforms apart."""
    transform = {325: 0.383, 65: 0.077}
    assert vision(325) - transform[325] == pytest.approx(54.558, abs=2e-3)
    assert vision(65) - transform[65] == pytest.approx(10.646, abs=2e-3)
    assert text() == pytest.approx(8.586 + 0.059, abs=2e-3)
    assert (fusion(325), fusion(65)) == pytest.approx((45.059 + 0.002, 13.267 + 0.002), abs=2e-3)
    assert pytest.approx(0.627, abs=1e-3) == MLM_HEAD


def test_heads_and_losses():
    own = {work.name: giga(work.flops) for work in costs(BASE).objectives}
    assert own["mlm"] == pytest.approx(MLM_HEAD, rel=0.01)
    assert own["mltc"] == pytest.approx(MLTC, rel=0.01)
    assert own["itm"] == pytest.approx(2e-9 * 2 * D * 2, rel=0.01)


def test_three_three_five_and_what_sharing_saves():
    found = costs(BASE)
    counted = {name: dict(one.passes) for name, one in found.schedules.items()}
    assert counted["planned"] == {"vision": 3, "text": 3, "fusion": 5, "joint": 2}
    assert counted["published"] == {"vision": 6, "text": 5, "fusion": 5, "joint": 2}
    assert counted["unshared"] == {"vision": 8, "text": 7, "fusion": 7, "joint": 2}
    total = {name: giga(one.forward) for name, one in found.schedules.items()}
    rest = MLM_HEAD + MLTC + 2 * JOINT
    assert total["planned"] == pytest.approx(sum(EXPECTED.values()) + rest, rel=0.01)
    assert total == pytest.approx({"planned": 340.7, "published": 522.8, "unshared": 664}, rel=0.01)
    assert giga(found.full.forward) == total["planned"]


def test_rows_tokens_and_askers():
    by_reads = {one.reads: one for one in costs(BASE).passes if one.kind != "joint"}
    assert {(one.rows, one.tokens) for one in by_reads.values()} == {
        (16, (325,)),
        (16, (65,)),
        (16, (50,)),
        (16, (325, 50)),
        (16, (65, 50)),
    }
    assert by_reads["image (dropped) + text"].consumers == ("mgsc", "mltc")
    assert set(by_reads["image"].consumers) == {"itc", "itm", "mlm", "mgsc", "mltc"}


def test_the_backward_pass_costs_about_twice_the_forward():
    """Two products for each of the forward pass; attention on a GPU computes its weights again."""
    full = costs(BASE).full
    assert 1.9 < full.backward / full.forward < 2.05


def test_parameters_of_the_published_model():
    """CLIP's tower of eleven blocks, RoBERTa-base, both with a transform."""
    vit = 11 * (12 * D * D + 13 * D) + D * 3 * 256 + D + 325 * D + 4 * D + D
    roberta = VOCABULARY * D + (T + 2) * D + D + 2 * D + 12 * (12 * D * D + 13 * D)
    assert costs(BASE).parameters["vision"] == vit + D * D + D
    assert costs(BASE).parameters["text"] == roberta + D * D + D
    assert costs(BASE).parameters["itm"] == 2 * 2 * D + 2


def test_chance_levels_and_the_rows_that_a_contrast_sees():
    found = costs(BASE)
    losses = {f"{work.name}/{loss.name}": loss for work in found.objectives for loss in work.losses}
    assert losses["itc/contrast"].chance == pytest.approx(math.log(16))
    assert losses["mgsc/image"].chance == pytest.approx(2 * math.log(16))
    assert losses["mltc/image"].chance == pytest.approx(2 * math.log(16 * 97))
    assert losses["mlm/words"].chance == pytest.approx(math.log(VOCABULARY))
    assert (losses["mltc/image"].scored, losses["mltc/image"].weight) == (1552, 0.2)
    assert {work.rows for work in found.objectives} == {16} and found.batch == 4096 and found.micro_steps == 256


def test_losses_that_gather_cost_the_rows_of_all_processes():
    """Forward of a contrast of N rows: one product of [N,E] by [E,N]; kept of it: two [N,N], the two softmaxes."""
    rows, width, names = 4, 32, ("itc", "itm", "mgsc", "mltc")
    cut = (
        "glscl",
        *THIN,
        "data.batch=64",
        f"data.micro_batch={rows}",
        f"model.joint.width={width}",
        "objectives.itc.positives=pair",
    )
    dry = {processes: build(recipe(*cut, processes=processes)) for processes in (1, 2, 4, 8)}
    system, of = dry[1].system, {processes: one.step(names, 999) for processes, one in dry.items()}
    masked = {
        name: system.masks[name].size(system.sites[""][what])
        for name, what in (("replaced", "image"), ("hidden_words", "text"))
    }  # tokens of a row that MLTC completes
    for processes, step in of.items():
        together = rows * processes
        assert step.forward["itc"] == 2 * together**2 * width
        assert step.forward["mgsc"] == 2 * 2 * together**2 * 128
        assert step.forward["mltc"] == sum(2 * (together * each) ** 2 * 128 for each in masked.values())
        assert step.forward["itm"] == of[1].forward["itm"]  # which gathers nothing
    held = {processes: step.memory.passes["itc"] for processes, step in of.items()}
    # of bytes a + b N + c N^2 the part that grows with the square
    assert (held[8] - held[4] - 2 * (held[4] - held[2])) / (24 * rows**2) == 2 * 4
    assert of[8].memory.peak > of[4].memory.peak > of[1].memory.peak


@pytest.mark.parametrize(
    "group, micro, processes, seen", [("all", 16, 8, 128), ("all", 64, 1, 64), (16, 64, 8, 16), (100, 64, 8, 64)]
)
def test_together(group, micro, processes, seen):
    assert arithmetic.together(group, micro, processes) == seen


def test_spans_are_those_of_every_step():
    weights = {"a": 1.0, "b": ((0.27, 0.0), (0.28, 1.0)), "c": ((0, 1.0), (40, 0.0), (60, 0.0), (90, 2.0)), "d": 0.0}
    counted = Counter(tuple(n for n, w in weights.items() if weight_at(w, step, 100)) for step in range(100))
    assert arithmetic.spans(weights, 100) == counted


def test_phases_cover_the_run_and_cost_grows_with_them():
    found = costs("glscl", *THIN)
    assert [phase.objectives for phase in found.phases] == [
        ("itc",),
        ("itc", "itm", "mlm"),
        ("itc", "itm", "mlm", "mgsc", "mltc"),
    ]
    assert sum(phase.steps for phase in found.phases) == found.steps
    ahead = [phase.forward for phase in found.phases]
    assert ahead == sorted(ahead)
    each = sum((p.forward + p.backward) * p.steps for p in found.phases) / found.micro_batch * found.batch
    assert found.flops == pytest.approx(each)


@pytest.mark.slow
def test_an_estimate_from_shared_passes_is_what_an_unshared_step_counts():
    small = ("data.batch=8", *THIN, "run.precision=bf16")
    dry = build(recipe("glscl", *small))
    names = ("itc", "mlm", "mgsc")
    step = dry.step(names, 999)
    said = arithmetic.schedule(dry.system.plan(names, "none"), step.forward, step.memory.passes)
    other = build(recipe("glscl", *small, "plan.share=none")).step(names, 999)
    assert sum(other.forward.values()) == said.forward > sum(step.forward.values())
    assert sum(other.memory.passes.values()) == pytest.approx(said.activations, rel=0.02)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_attention_is_counted_whatever_computes_it(precision):
    """Fused, in two products, and with dropout: 2 N^2 D multiply-adds either way."""
    one = {}
    for device in ("cpu", "cuda"):
        for dropout in (0.0, 0.1):
            it = recipe(
                "glscl",
                *THIN,
                "data.batch=4",
                f"run.device={device}",
                f"run.precision={precision}",
                f"model.fusion.dropout={dropout}",
            )
            one[device, dropout] = build(it).step(("mlm",), 999).forward
    first = one["cpu", 0.0]
    assert all(other == first for other in one.values())
    n = 65
    # Three convolutions 3 x 3 that halve 64 x 64 pixels, one 1 x 1, and the 64 patches of 8 x 8 x 3 as they are.
    stem = 9 * (3 * 32 * 32**2 + 32 * 64 * 16**2 + 64 * 128 * 8**2) + 64 * 128 * 128 + 64 * 192 * 128
    assert first["vision(image)"] == 4 * 2 * (stem + (12 * n * 128**2 + 2 * n**2 * 128))


def test_an_operator_without_a_formula_is_listed():
    with Meter() as meter, meter.work("me"):
        torch.linalg.solve(torch.eye(3), torch.ones(3, 1))
        (torch.ones(4, 2) @ torch.ones(2, 3)).softmax(-1).sum()
    assert any("solve" in name for name in meter.unknown) and len(meter.unknown) == 1
    assert meter.flops == {"me": 2 * 4 * 2 * 3}


def test_every_shipped_recipe_is_fully_counted():
    assert not costs(BASE).unknown
    assert not costs("glscl", *THIN).unknown


def failing(monkeypatch, target: str, error: str):
    def raises(*args, **given):
        raise RuntimeError(error)

    monkeypatch.setattr(target, raises)
    return troubles(recipe("glscl", *THIN, "data.batch=4"))


@pytest.mark.parametrize(
    "target, path, said",
    [
        ("vlobj_glscl.mltc.MLTC.complete", ("objectives", "mltc"), "the loss failed: sizes differ"),
        (
            "vlobj_models.co_attention.CoAttentionBlock.forward",
            ("model", "fusion"),
            "the pass fusion(vision(image), text(text) | ",
        ),
        (
            "vlobj_common.masks.random_patches.RandomPatches.draw",
            ("masks", "dropped"),
            "the draw dropped on image failed",
        ),
        (
            "vlobj_common.pairings.negatives.RandomNegatives.wrong",
            ("pairings", "others"),
            "the choice of wrong pairs failed",
        ),
    ],
)
def test_a_mistake_is_told_at_whoever_made_it(monkeypatch, target, path, said):
    found = failing(monkeypatch, target, "sizes differ\nand more")
    assert path in [one.path for one in found]
    assert any(said in str(one) and "sizes differ" in str(one) and "more" not in str(one) for one in found)


def test_asking_the_device_for_a_number_is_told(monkeypatch):
    from vlobj_common.objectives.itm import ITM

    labels = ITM._labels
    monkeypatch.setattr(
        ITM, "_labels", lambda self, pairs, batch: labels(self, pairs, batch) if bool(pairs.pairs.valid.any()) else None
    )
    one, *_ = troubles(recipe("glscl", *THIN, "data.batch=4"))
    assert one.path == ("objectives", "itm") and "asks the device for a number" in one.why and "take(" in one.hint


def test_what_is_right_has_no_trouble():
    assert troubles(recipe("glscl", *THIN, "data.batch=4")) == []


def test_a_part_that_does_not_fit_is_trouble_and_no_crash():
    one, *_ = troubles(recipe("glscl", *THIN, "model.vision.patch=7"))
    assert isinstance(one, BuildError) and one.path == ("model", "vision")


def test_a_stand_in_batch_is_what_the_fields_say():
    it = recipe("glscl", *THIN, "data.batch=4")
    dry = build(it)
    batch = fake.fake_batch(dry.fields[""], 4)
    text, spec = batch["text"], dry.fields[""]["text"]["caption"]
    assert batch["image"].shape == (4, 3, 64, 64) and text.ids.shape == (4, spec.shape[0]) and text.valid.all()
    assert text.special.sum(1).tolist() == [2] * 4 and len(set(batch.same.tolist())) == 4
    assert not set(text.ids[:, 1:-1].unique().tolist()) & set(spec.special.values())


def test_chance_levels_of_many_rows():
    """Of as many as a loss sees together: those of a group do not grow with the batch."""
    live = [f"objectives.{name}.weight=1" for name in ("itc", "itm", "mlm", "mgsc", "mltc")]
    found = costs("glscl", *THIN, "data.batch=1000", "objectives.mgsc.group=100", *live)
    losses = {f"{work.name}/{loss.name}": loss for work in found.objectives for loss in work.losses}
    assert losses["itc/contrast"].chance == pytest.approx(math.log(1000))
    assert losses["mgsc/image"].chance == pytest.approx(2 * math.log(100))
    assert losses["itm/match"].chance == pytest.approx(math.log(2))
    assert (losses["itm/match"].scored, losses["itc/contrast"].scored) == (1000, 1000)
    assert losses["mltc/text"].chance == pytest.approx(2 * math.log(losses["mltc/text"].scored), rel=0.01)
