"""MLTC against the published numbers, and what it may look at."""

import math

import pytest
import torch
from handmade import close, drawn, encoded, golden, itself, leaf, total, value
from torch._subclasses.fake_tensor import FakeTensorMode
from vlobj_glscl.mltc import MLTC

from vlobjectives import CannotBuild, Fused, Input, MaskSample, fused

MASKS = {"image_mask": "replaced", "text_mask": "hidden", "context_mask": "dropped"}
FLOATS = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
FEATURES = ("pred_image_tokens", "target_image_tokens", "pred_text", "target_text")


def passes(pred_image, target_image, pred_text, target_text, image_draw: MaskSample, text_draw: MaskSample):
    return {
        "a": Fused(encoded(target_image[:, :2]), encoded(target_text)),
        "b": Fused(encoded(pred_image, draw=image_draw), encoded(target_text)),
        "c": Fused(encoded(target_image), encoded(pred_text, draw=text_draw)),
    }


def run(features, image_mask, text_mask, gather=itself, surplus=0, **config):
    draws = drawn(image_mask, surplus), drawn(text_mask, surplus)
    return MLTC(MLTC.Config(**MASKS, **config))(**passes(*features, *draws), gather=gather)


def random_features(rows=3, patches=6, words=5, width=4):
    generator = torch.Generator().manual_seed(1)
    shapes = [(rows, patches, width)] * 2 + [(rows, words, width)] * 2
    features = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    masks = [torch.rand(shape[:2], generator=generator) < 0.4 for shape in shapes[1:3]]
    return features, masks


@FLOATS
@pytest.mark.parametrize("surplus", [0, 2])
@pytest.mark.parametrize("name", ["mltc_2", "mltc_3"])
def test_golden(name, surplus, dtype):
    z = golden(name, dtype)
    features = [leaf(z[f"in_{x}"]) for x in FEATURES]
    masks = z["in_image_mask"].bool(), z["in_text_mask"].bool()
    weight = z["in_local_weight"].item()
    terms = run(features, *masks, surplus=surplus, weight_image=weight, weight_text=weight)
    close(value(terms["image"]), z["out_loss_local_image"])
    close(value(terms["text"]), z["out_loss_local_text"])
    whole = total(terms) + z["out_loss_global_image"] + z["out_loss_global_text"]
    close(whole, z["out_loss"])
    total(terms).backward()
    close(features[0].grad, z["out_grad_pred_image_tokens"])
    # position 0 of the published text gradient is the global half's
    close(features[2].grad[:, 1:], z["out_grad_pred_text"][:, 1:])
    assert features[1].grad is None and features[3].grad is None
    for side, mask in zip(("image", "text"), masks, strict=True):
        assert terms[side].count == mask.sum()
        assert terms[side].chance.item() == pytest.approx(2 * math.log(mask.sum()))


@FLOATS
@pytest.mark.parametrize("rank", [0, 1])
def test_golden_of_two_processes(rank, dtype):
    """Published: words gathered, patches not; every process's own slice of the gradient."""
    z = golden("gather_0", dtype)
    features = {r: [z[f"in_{x}_r{r}"] for x in FEATURES] for r in (0, 1)}
    masks = {r: [z[f"in_{x}_mask_r{r}"].bool() for x in ("image", "text")] for r in (0, 1)}
    # K is static and so the same on both, as it is where masks come from a recipe
    most = {side: max(int(masks[r][i].sum(1).max()) for r in (0, 1)) for i, side in enumerate(("image", "text"))}

    def one(r, values, gather):
        draws = [drawn(mask, size - int(mask.sum(1).max())) for mask, size in zip(masks[r], most.values(), strict=True)]
        return MLTC(MLTC.Config(**MASKS))(**passes(*values, *draws), gather=gather)

    other = []
    one(1 - rank, features[1 - rank], lambda x: other.append(x) or x)
    mine = [leaf(x) for x in features[rank]]
    gathered = one(rank, mine, lambda x: torch.cat([x, other.pop(0)] if rank == 0 else [other.pop(0), x]))
    local = one(rank, mine, itself)
    close(value(local["image"]), z[f"out_loss_local_image_r{rank}"])
    close(value(gathered["text"]), z[f"out_loss_local_text_r{rank}"])
    assert gathered["text"].count == sum(m[1].sum() for m in masks.values())
    (0.2 * value(local["image"]) + 0.2 * value(gathered["text"])).backward()
    close(mine[0].grad, z[f"out_grad_pred_image_tokens_r{rank}"])
    close(mine[2].grad[:, 1:], z[f"out_grad_pred_text_r{rank}"][:, 1:])


def test_patches_may_be_permuted_and_unmasked_ones_be_anything():
    features, masks = random_features()
    before = total(run(features, *masks))
    order = torch.randperm(6)
    moved = [features[0][:, order], features[1][:, order], *features[2:]]
    assert total(run(moved, masks[0][:, order], masks[1])).item() == pytest.approx(before.item())
    other = [
        torch.where(mask[..., None], x, torch.randn_like(x))
        for x, mask in zip(features, [masks[0], masks[0], masks[1], masks[1]], strict=True)
    ]
    assert total(run(other, *masks, surplus=1)).item() == pytest.approx(before.item(), abs=1e-12)
    rows = torch.tensor([2, 0, 1])
    assert total(run([x[rows] for x in features], *[m[rows] for m in masks])).item() == pytest.approx(before.item())


def test_all_masked_is_legal_and_nothing_masked_is_a_differentiable_zero():
    features, masks = random_features()
    full = run(features, torch.ones_like(masks[0]), masks[1])
    assert full["image"].count == 18 and full["image"].total > 0
    features[0].requires_grad_()
    none = run(features, torch.zeros_like(masks[0]), masks[1], surplus=1)["image"]
    assert none.count == 0 and none.total == 0 and none.chance == 0
    none.total.backward()
    assert not features[0].grad.any()


def test_tokens_all_alike_cost_chance():
    features, masks = random_features()
    for term in run([torch.ones_like(x) for x in features], *masks, surplus=1).values():
        assert value(term).item() == pytest.approx(term.chance.item())


def test_counts_are_those_of_forward_and_absent_where_a_draw_is_not_known():
    features, masks = random_features()
    objective, views = MLTC(MLTC.Config(**MASKS)), passes(*features, drawn(masks[0], 1), drawn(masks[1], 1))
    forward = objective(**views, gather=itself)
    counts = objective.counts(gather=itself, b=views["b"], c=views["c"])
    assert counts == {name: term.count for name, term in forward.items()}
    assert objective.counts(gather=itself, c=views["c"]) == {"text": masks[1].sum()}


def test_views_and_a_mask_that_drops_what_is_to_be_completed():
    image, text = Input("image", "vision"), Input("text", "bert")
    views = MLTC(MLTC.Config(**MASKS)).views({"image": image, "text": text})
    assert views == {
        "a": fused(image.masked("dropped"), text),
        "b": fused(image.masked("replaced"), text),
        "c": fused(image, text.masked("hidden")),
    }
    features, masks = random_features()
    draw = drawn(masks[0])
    dropped = MaskSample(
        draw.hidden, draw.scored, draw.index, draw.index_ok, keep=torch.zeros(3, 1).long(), fill="drop"
    )
    with pytest.raises(CannotBuild, match="drops"):
        MLTC(MLTC.Config(**MASKS))(**passes(*features, dropped, drawn(masks[1])), gather=itself)


def test_runs_on_fake_tensors_forward_and_backward():
    """Nothing asks the device for a number: what a dry run and a compiler need."""
    features, masks = random_features()
    draws = [drawn(mask, surplus=1) for mask in masks]
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(x).requires_grad_() for x in features]
        views = passes(*fake, *(draw.map(mode.from_tensor) for draw in draws))
        total(MLTC(MLTC.Config(**MASKS))(**views, gather=itself)).backward()
    assert fake[0].grad.shape == features[0].shape and fake[1].grad is None
