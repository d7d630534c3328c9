"""MGSC and SCL against the published numbers, and what each may look at."""

import math

import pytest
import torch
from handmade import close, encoded, golden, itself, leaf, total, value
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from vlobj_glscl.mgsc import MGSC
from vlobj_glscl.scl import SCL

from vlobjectives import Fused, Input, fused
from vlobjectives.functional import l2_normalize, symmetric_info_nce

MASKS = {"image_mask": "dropped", "text_mask": "hidden"}
FLOATS = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


def passes(pred_image, target_image, pred_text, target_text):
    """Passes A and C; class tokens [B,D] or [B,F,D]."""
    pred_image, target_image, pred_text, target_text = (
        x[:, None] if x.dim() == 2 else x for x in (pred_image, target_image, pred_text, target_text)
    )
    return {
        "a": Fused(encoded(cls=pred_image), encoded(cls=target_text)),
        "c": Fused(encoded(cls=target_image), encoded(cls=pred_text)),
    }


def run(features, objective=MGSC, gather=itself, **config):
    return objective(objective.Config(**MASKS, **config))(**passes(*features), gather=gather)


def random_features(seed=0, rows=4, frames=1, width=5):
    generator = torch.Generator().manual_seed(seed)
    shapes = (rows, frames, width), (rows, frames, width), (rows, 1, width), (rows, 1, width)
    return [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]


@FLOATS
@pytest.mark.parametrize("name", ["mgsc_0", "mgsc_1"])
def test_golden(name, dtype):
    z = golden(name, dtype)
    image, text = leaf(z["in_pred_image_cls"]), leaf(z["in_pred_text"])
    targets = leaf(z["in_target_image_cls"]), leaf(z["in_target_text"])
    terms = run([image, targets[0], text[:, 0], targets[1][:, 0]], temperature=z["in_temperature"].item())
    close(value(terms["image"]), z["out_loss_global_image"])
    close(value(terms["text"]), z["out_loss_global_text"])
    close(total(terms), z["out_loss"])
    total(terms).backward()
    close(image.grad, z["out_grad_pred_image_cls"])
    close(text.grad, z["out_grad_pred_text"])
    assert all(target.grad is None for target in targets)


@FLOATS
@pytest.mark.parametrize("objective", [MGSC, SCL])
@pytest.mark.parametrize("axis", ["feature", "frame"])
@pytest.mark.parametrize("name", ["mgsc_video_0", "mgsc_video_1"])
def test_golden_of_clips(name, axis, objective, dtype):
    """`mgsc_video_1` with the frame axis is the published image half of SCL: one frame, signs only, no gradient."""
    z = golden(name, dtype)
    image, text = leaf(z["in_pred_image"]), leaf(z["in_pred_text"])
    terms = run([image, z["in_target_image"], text, z["in_target_text"]], objective, norm_axis=axis)
    close(value(terms["text"]), z["out_loss_text"])
    close(value(terms["image"]), z[f"out_loss_image_{axis}_norm"])
    close(total(terms), z[f"out_loss_{axis}_norm"])
    total(terms).backward()
    close(text.grad, z["out_grad_pred_text"])
    expected = z[f"out_grad_pred_image_{axis}_norm"]
    if axis == "frame" and image.shape[1] == 1:
        # truly 0: rounding against the size of the gradient that unit features get
        assert expected.abs().max() < 1e-12
        assert image.grad.abs().max() < (1e-9 if dtype == torch.float64 else 1e-5) / 0.03
    else:
        close(image.grad, expected)


@FLOATS
@pytest.mark.parametrize("loss", ["contrastive", "l2", "cosine"])
@pytest.mark.parametrize("name", ["scl_variants_0", "scl_variants_1"])
def test_golden_of_the_forms(name, loss, dtype):
    z = golden(name, dtype)
    image, text = leaf(z["in_pred_image"]), leaf(z["in_pred_text"])
    targets = leaf(z["in_target_image"]), leaf(z["in_target_text"])
    terms = run([image, targets[0], text, targets[1]], SCL, loss=loss, temperature=z["in_temperature"].item())
    close(value(terms["image"]), z[f"out_{loss}_image"])
    close(value(terms["text"]), z[f"out_{loss}_text"])
    close(total(terms), z[f"out_{loss}_loss"])
    total(terms).backward()
    close(image.grad, z[f"out_{loss}_grad_pred_image"])
    close(text.grad, z[f"out_{loss}_grad_pred_text"])
    assert all(target.grad is None for target in targets)


@FLOATS
@pytest.mark.parametrize("rank", [0, 1])
def test_golden_of_two_processes(rank, dtype):
    """Published: the image half gathered, the text half not; every process's own slice of the gradient."""
    z = golden("gather_0", dtype)
    features = {
        r: [z[f"in_{x}_r{r}"] for x in ("pred_image_cls", "target_image_cls")]
        + [z[f"in_{x}_r{r}"][:, 0] for x in ("pred_text", "target_text")]
        for r in (0, 1)
    }
    other = []
    run(features[1 - rank], gather=lambda x: other.append(x) or x)
    mine = [leaf(x) for x in features[rank]]
    gathered = run(mine, gather=lambda x: torch.cat([x, other.pop(0)] if rank == 0 else [other.pop(0), x]))
    local = run(mine)
    close(value(gathered["image"]), z[f"out_loss_global_image_r{rank}"])
    close(value(local["text"]), z[f"out_loss_global_text_r{rank}"])
    assert gathered["image"].count == gathered["text"].count == 6 and local["text"].count == 3
    value(gathered["image"]).backward()
    close(mine[0].grad, z[f"out_grad_pred_image_cls_r{rank}"])
    assert not other


@given(seed=st.integers(0, 999), frames=st.integers(1, 3))
@settings(max_examples=25)
def test_rows_may_be_permuted_and_rescaled(seed, frames):
    features = random_features(seed, frames=frames)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(seed))
    features[0].requires_grad_()
    loss = total(run(features))
    assert loss.item() == pytest.approx(total(run([x[order] for x in features])).item())
    stretch = torch.rand(4, 1, 1, dtype=torch.float64) + 0.1
    assert loss.item() == pytest.approx(total(run([x * stretch for x in features])).item())
    loss.backward()
    assert (features[0].grad * features[0].detach()).sum(-1).abs().max() < 1e-12


def test_only_class_tokens_enter():
    features = random_features()
    views = passes(*features)
    before = total(MGSC(MGSC.Config(**MASKS))(**views, gather=itself))
    for view in views.values():
        for side in (view.image, view.text):
            object.__setattr__(side, "tokens", torch.randn(4, 9, 5))
    assert total(MGSC(MGSC.Config(**MASKS))(**views, gather=itself)).item() == before.item()


def test_targets_get_no_gradient_though_their_pass_is_trained():
    features = [leaf(x) for x in random_features()]
    total(run(features)).backward()
    assert features[0].grad.any() and features[2].grad.any() and features[1].grad is None and features[3].grad is None


def test_without_any_mask_prediction_is_target():
    x, _, y, _ = random_features()
    assert total(run([x, x, y, y], SCL, loss="l2")) == pytest.approx(0, abs=1e-15)
    assert total(run([x, x, y, y], SCL, loss="cosine")) == pytest.approx(0, abs=1e-14)
    p, q = l2_normalize(x[:, 0]), l2_normalize(y[:, 0])
    itself_similar = symmetric_info_nce(p, p, 0.03).mean() + symmetric_info_nce(q, q, 0.03).mean()
    assert total(run([x, x, y, y])).item() == pytest.approx(itself_similar.item()) and itself_similar > 0


def test_one_row_costs_nothing_and_rows_all_alike_cost_chance():
    one = [leaf(x) for x in random_features(rows=1)]
    terms = run(one)
    assert total(terms) == 0 and terms["image"].chance == 0
    total(terms).backward()
    assert not one[0].grad.any()
    alike = [torch.ones(6, 2, 3).double(), torch.ones(6, 2, 3).double(), *[torch.ones(6, 1, 3).double()] * 2]
    for term in run(alike).values():
        assert value(term).item() == pytest.approx(term.chance) == pytest.approx(2 * math.log(6))
    assert run(alike, SCL, loss="l2")["image"].chance is None


def test_two_passes_and_nothing_more():
    image, text = Input("image", "vision"), Input("text", "bert")
    wanted = {"a": fused(image.masked("dropped"), text), "c": fused(image, text.masked("hidden"))}
    for objective in (MGSC, SCL):
        assert objective(objective.Config(**MASKS)).views({"image": image, "text": text}) == wanted


@pytest.mark.parametrize("objective, config", [(MGSC, {}), (SCL, {"loss": "l2"}), (SCL, {"norm_axis": "frame"})])
def test_runs_on_fake_tensors_forward_and_backward(objective, config):
    """Nothing asks the device for a number: what a dry run and a compiler need."""
    features = random_features(frames=2)
    with FakeTensorMode() as mode:
        fake = [mode.from_tensor(x).requires_grad_() for x in features]
        total(run(fake, objective, **config)).backward()
    assert fake[0].grad.shape == features[0].shape and fake[1].grad is None
