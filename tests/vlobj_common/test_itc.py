"""ITC against the published numbers, and who counts as a positive."""

import math

import pytest
import torch
from handmade import batch, close, golden, itself, leaf, texts, total, value
from vlobj_common.objectives.itc import ITC

from vlobjectives import Input, Joint, joint
from vlobjectives.functional import l2_normalize


def itc(text, image, scale, rows=None, **config):
    return ITC(ITC.Config(**config))(
        text=Joint(l2_normalize(text), scale), image=Joint(l2_normalize(image), scale), batch=rows, gather=itself
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name, weight", [("itc_0", 1.0), ("itc_1", 2.0)])
def test_golden(name, weight, dtype):
    """The 0.5 is inside; itc_1 was computed with weight 1, which is `weight: 2` of a recipe."""
    z = golden(name, dtype)
    text, image, tau = leaf(z["out_text_proj"]), leaf(z["out_image_proj"]), leaf(z["in_temperature"])
    loss = weight * total(itc(text, image, 1 / tau))
    close(loss, z["out_loss"])
    loss.backward()
    close(text.grad, z["out_grad_text_proj"])
    close(image.grad, z["out_grad_image_proj"])
    close(tau.grad, z["out_grad_temperature"])


def test_chance_is_what_features_that_are_all_alike_cost():
    alike = torch.ones(5, 3, dtype=torch.float64)
    for positives in ("pair", "equal_captions", "same_picture"):
        rows = batch(5, same=[0, 0, 1, 2, 2], text=texts([1, 1, 2, 3, 3], 6))
        term = itc(alike, alike, torch.tensor(10.0), rows, positives=positives)["contrast"]
        assert value(term).item() == pytest.approx(term.chance) == pytest.approx(math.log(5))


def test_equal_captions_and_same_pictures_share_the_probability():
    captions = texts([2, 2, 3, 4], 7)
    captions.ids[1] = captions.ids[0]
    rows = batch(4, same=[5, 6, 7, 5], text=captions)
    text, image = torch.randn(2, 4, 3, dtype=torch.float64)
    logits = l2_normalize(text) @ l2_normalize(image).T * 10
    for positives, pair in (("equal_captions", (0, 1)), ("same_picture", (0, 3))):
        right = torch.eye(4, dtype=torch.bool)
        right[pair] = right[pair[::-1]] = True
        assert torch.equal(ITC(ITC.Config(positives=positives)).positives(rows, itself), right)
        share = right / right.sum(1, keepdim=True)
        expected = -(share * (logits.log_softmax(1) + logits.log_softmax(0))).sum() / 4 / 2
        term = itc(text, image, torch.tensor(10.0), rows, positives=positives)["contrast"]
        assert value(term).item() == pytest.approx(expected.item())


def test_asks_for_the_named_inputs_and_projection():
    inputs = {"photo": Input("photo", "tower"), "words": Input("words", "bert", mask="noisy")}
    views = ITC(ITC.Config(image="photo", text="words", joint="space")).views(inputs)
    assert views == {"image": joint(inputs["photo"], part="space"), "text": joint(inputs["words"], part="space")}
