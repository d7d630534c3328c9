"""What must not reach the picture's side, on MVPTR's two models (specification 7.2 to 7.4, 9.4)."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toy_detections import toy

from vlobjectives import Batch, RequestedOutputs, Tokens, encoded, fused, joint
from vlobjectives.contracts.views import FusedView
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.testing.check import tensors

BOTH = pytest.mark.parametrize("form", ["regions", "patches"])
PLAIN = RequestedOutputs()
WORDS = {"phrases": "caption"}
MCR = {"regions": {}, "patches": {"source": "slots", "targets": "concepts"}}


def objectives(form: str) -> dict[str, dict]:
    return {
        "mcr": MCR[form],
        "vsc": {"type": "itc"},
        "mlm": {"mask": None},
        "itm": {"negatives": "mined", "scheme": "matched_plus_wrong"},
        "wpg": WORDS,
    }


def whole(form: str):
    """All five objectives, both inputs wearing a mask where they have one."""
    made = toy(form, objectives=objectives(form))
    return made.changed(inputs={**made.inputs, "text": {"fields": ["caption"], "part": "text", "mask": "hidden_words"}})


def seen(system, batch: Batch) -> dict[str, Tensor]:
    """All that stage one and the joint space say of the pictures."""
    image = system.inputs["image"]
    values = execute.run(of_views(system, {"v": encoded(image), "j": joint(image)}, "test"), system.stage(0), batch)
    found = dict(tensors({str(key): value for key, value in values.items()}))
    head = system.objectives["mcr"].named(
        next(x for x in values.values() if getattr(x, "extra", None)), system.model["concepts"], batch
    )[0]
    return found | {"what slots or tags name": head}


def with_text(batch: Batch, text: Tokens) -> Batch:
    return replace(batch, values={**batch.values, "text": text})


@BOTH
def test_captions_leave_the_picture_as_it_is(form):
    """L1, L6: other captions in the batch, and several of one picture, change nothing that the picture's side says."""
    made = whole(form)
    system, batch = made.system(), made.batch()
    before = seen(system, batch)
    for text in (batch["text"].rows(torch.arange(8).flip(0)), batch["text"].rows(torch.zeros(8, dtype=torch.int64))):
        for key, x in seen(system, with_text(batch, text)).items():
            assert torch.equal(x, before[key]), key


@BOTH
def test_no_gradient_of_mcr_reaches_the_text(form):
    """L2: what text alone uses gets none; tags share the table of tokens, slots share nothing."""
    made = toy(form, objectives={"mcr": MCR[form]})
    system = made.system()
    system(made.batch(), 0).total.backward()
    touched = {
        part: {name for name, p in system.model[part].named_parameters() if p.grad is not None and p.grad.any()}
        for part in system.model
    }
    assert touched["text"] == ({"words.weight"} if form == "regions" else set())
    assert not touched["fusion"] | touched["joint"] and touched["vision"] and touched["concepts"]


def test_shapes_hang_on_no_caption():
    """L3: slots, masks and padding are the same beside a caption without a word and beside a full one."""
    shapes = []
    for words in ((0, 0), (7, 7)):
        made = whole("patches").with_data(words=words)
        found = seen(made.system(), made.batch())
        shapes.append({key: x.shape for key, x in found.items()})
    assert shapes[0] == shapes[1] and any("slots" in key for key in shapes[0])


@BOTH
def test_stage_two_is_fed_regions_and_nothing_else_of_the_picture(form):
    """L4: noise in place of slots, tags and the class changes no fused output; a region's output does."""
    made = whole(form)
    system, batch = made.system(), made.batch()
    image, text = system.model["vision"](batch["image"], None, PLAIN), system.model["text"](batch["text"], None, PLAIN)
    fuse = system.model["fusion"]
    wanted = dict(tensors(fuse(image, text, PLAIN)))
    noise = {key: torch.randn_like(x) for key, x in image.extra.items()}
    assert noise
    other = replace(image, extra=noise, cls=torch.randn_like(image.cls))
    assert all(torch.equal(x, wanted[key]) for key, x in tensors(fuse(other, text, PLAIN)))
    moved = replace(image, tokens=torch.where(image.valid[..., None], 9.0, image.tokens))
    assert not torch.equal(fuse(moved, text, PLAIN).text.tokens, wanted["text.tokens"])


@BOTH
def test_mcr_needs_no_fusion(form):
    """L4: its value is the same alone and beside objectives that fuse."""
    alone, beside = (
        toy(form, objectives={"mcr": MCR[form]}),
        toy(form, objectives=objectives(form) | {"mlm": {"mask": "hidden_words"}}),
    )
    found = [made.system()(made.batch(), 0).terms["mcr/concepts"].total for made in (alone, beside)]
    assert torch.equal(*found)


def test_tags_act_on_stage_two_through_regions_alone():
    """Another tag moves the regions' outputs, and by them the fused text."""
    made = whole("regions")
    system, batch = made.system(), made.batch()
    x = batch["image"]
    tag = ~x.special
    other = replace(x, ids=torch.where(tag, (x.ids + 1 - 5) % 25 + 5, x.ids))
    full = x.beside["regions"].valid.any(1) & tag.any(1)
    before, after = (system.model["vision"](y, None, PLAIN) for y in (x, other))
    changed = (before.tokens != after.tokens).any(-1).any(-1)
    assert full.any() and changed[full].all()


def test_wrong_pairs_are_made_of_stage_one_alone():
    """L11: a mined pair is fused anew from what the encoders said; no fused output is used again."""
    for form in ("regions", "patches"):
        made = whole(form)
        share = made.system().plan(tuple(objectives(form))).shares[0]
        passes = [work.key for work in share.passes if isinstance(work.key, FusedView)]
        assert len(passes) == 2 and sum(key.pairing == "mined" for key in passes) == 1
        assert not any(isinstance(fed, FusedView) for key in passes for fed in key.fed)


@BOTH
def test_one_text_one_visual_two_fused(form):
    """Counted as they run, not as they are planned."""
    made = whole(form)
    system, ran = made.system(), []
    for name in ("vision", "text", "fusion"):
        system.model[name].register_forward_hook(lambda *_, name=name: ran.append(name))
    system(made.batch(), 0)
    assert sorted(ran) == ["fusion", "fusion", "text", "vision"]


@BOTH
def test_vsc_and_mcr_leave_the_fusion_without_gradient(form):
    made = toy(form, objectives={"mcr": MCR[form], "vsc": {"type": "itc"}})
    system = made.system()
    system(made.batch(), 0).total.backward()
    assert all(p.grad is None for p in system.model["fusion"].parameters())


def test_pairwise_grounding_needs_no_wrong_pairs():
    alone, beside = (
        toy("regions", objectives=found)
        for found in ({"wpg": WORDS}, {"wpg": WORDS, "itm": {"negatives": "mined", "scheme": "matched_plus_wrong"}})
    )
    found = [made.system()(made.batch(), 0).terms["wpg/grounding"].total for made in (alone, beside)]
    assert torch.equal(*found)
    views = [view for view in beside.system().objectives["wpg"].views(beside.system().inputs).values()]
    assert views == [fused(beside.system().inputs["image"], beside.system().inputs["text"])]
