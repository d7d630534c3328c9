"""Published numbers and the properties of the l2 and cosine forms, and of the two ways to make clips unit rows."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from arrays import close, golden, leaf
from edges import Edge, assert_finite, over_edges
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from vlobj_glscl.completion_losses import cosine_rows, l2_normalize_over, l2_rows

from vlobjectives.functional import l2_normalize, symmetric_info_nce


@pytest.fixture(params=[torch.float64, torch.float32], ids=["float64", "float32"])
def dtype(request: pytest.FixtureRequest) -> torch.dtype:
    return request.param


@pytest.mark.parametrize("axis", ["feature", "frame"])
@pytest.mark.parametrize("name", ["mgsc_video_0", "mgsc_video_1"])
def test_mgsc_of_clips(name: str, axis: str, dtype: torch.dtype) -> None:
    z = golden(name, dtype)
    image, text, tau = leaf(z["in_pred_image"]), leaf(z["in_pred_text"]), z["in_temperature"]
    frames = [l2_normalize_over(x, axis).transpose(0, 1) for x in (image, z["in_target_image"])]
    of_image = symmetric_info_nce(*frames, tau).mean()
    of_text = symmetric_info_nce(l2_normalize(text), l2_normalize(z["in_target_text"]), tau).mean()
    close(of_text.detach(), z["out_loss_text"])
    close(of_image.detach(), z[f"out_loss_image_{axis}_norm"])
    close((of_image + of_text).detach(), z[f"out_loss_{axis}_norm"])
    (of_image + of_text).backward()
    close(text.grad, z["out_grad_pred_text"])
    if axis == "frame" and image.shape[1] == 1 and dtype == torch.float32:
        # The true gradient is 0, so "of the largest entry" has nothing to stand on: rounding against the
        # gradient that the unit features get.
        assert z["out_grad_pred_image_frame_norm"].abs().max() < 1e-12
        assert image.grad.abs().max() < 1e-5 / tau
    else:
        close(image.grad, z[f"out_grad_pred_image_{axis}_norm"])


@pytest.mark.parametrize("form", ["contrastive", "l2", "cosine"])
@pytest.mark.parametrize("name", ["scl_variants_0", "scl_variants_1"])
def test_scl_forms(name: str, form: str, dtype: torch.dtype) -> None:
    z = golden(name, dtype)
    rows = {
        "contrastive": lambda p, t: symmetric_info_nce(p, t, z["in_temperature"]),
        "l2": l2_rows,
        "cosine": cosine_rows,
    }[form]
    prediction = {side: leaf(z[f"in_pred_{side}"]) for side in ("image", "text")}
    loss = torch.zeros((), dtype=dtype)
    for side, p in prediction.items():
        term = rows(l2_normalize(p), l2_normalize(z[f"in_target_{side}"])).mean()
        close(term.detach(), z[f"out_{form}_{side}"])
        loss = loss + term
    close(loss.detach(), z[f"out_{form}_loss"])
    loss.backward()
    for side, p in prediction.items():
        close(p.grad, z[f"out_{form}_grad_pred_{side}"])


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_forms_are_functions_of_the_cosine(seed: int) -> None:
    p, t = l2_normalize(torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))
    cosine = (p * t).sum(-1)
    torch.testing.assert_close(l2_rows(p, t), 2 - 2 * cosine, rtol=0, atol=1e-13)
    torch.testing.assert_close(cosine_rows(p, t), -(0.5 + 0.5 * cosine).log(), rtol=0, atol=1e-12)
    torch.testing.assert_close(cosine_rows(p, p), torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-14)
    assert not l2_rows(p, p).any()
    assert (cosine_rows(p, t) > 0).all() and (l2_rows(p, t) > 0).all()


def test_known_values() -> None:
    p = torch.tensor([[1.0, 0.0]] * 3)
    t = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert l2_rows(p, t).tolist() == [0, 2, 4]
    assert cosine_rows(p, t).tolist() == [0, pytest.approx(math.log(2)), pytest.approx(-math.log(1e-7))]


def test_feature_axis_makes_each_frame_a_unit_row() -> None:
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    assert torch.equal(l2_normalize_over(x, "feature"), l2_normalize(x))


def test_frame_axis_with_one_frame_leaves_signs_and_no_gradient() -> None:
    x = leaf(torch.randn(4, 1, 6, dtype=torch.float64))
    value = l2_normalize_over(x, "frame")
    torch.testing.assert_close(value, x.sign(), rtol=0, atol=1e-15)
    (value * torch.randn(4, 1, 6)).sum().backward()
    assert x.grad.abs().max() < 1e-12


def test_frame_axis_has_unit_length_over_frames() -> None:
    value = l2_normalize_over(torch.randn(2, 3, 4, dtype=torch.float64), "frame")
    torch.testing.assert_close(value.norm(dim=1), torch.ones(2, 4, dtype=torch.float64), rtol=0, atol=1e-14)


def test_other_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="feature or frame, not 'time'"):
        l2_normalize_over(torch.ones(1, 1, 1), "time")


def of_clips(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    yield from (l2_normalize_over(e.rows(2, n, d), axis) for axis in ("feature", "frame"))


def of_squares(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    yield l2_rows(e.rows(n, d, unit=True), e.rows(n, d, unit=True))


def of_cosines(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    one, other = e.rows(n, d, unit=True), e.rows(n, d, unit=True)
    yield from (cosine_rows(one, x) for x in (one, -one, other))


@pytest.mark.parametrize("case", [of_clips, of_squares, of_cosines])
@over_edges
def test_values_and_gradients_are_finite(
    case: Callable[[Edge, int, int], Iterator[Tensor]], edge: Edge, n: int, d: int
) -> None:
    assert_finite(edge, case(edge, n, d))


def test_opposite_rows_cost_the_most_and_hardly_move_what_is_less_than_opposite():
    for seed in range(50):
        x = l2_normalize(torch.randn(64, generator=torch.Generator().manual_seed(seed)))
        assert 15 < cosine_rows(x, -x) <= -math.log(1e-7) + 1e-5
    near = l2_normalize(torch.tensor([[1.0, 0.01]], dtype=torch.float64))
    other = torch.tensor([[-1.0, 0.0]], dtype=torch.float64)
    assert cosine_rows(near, other).item() == -math.log(0.5 * (near * other).sum().item() + 0.5)


def completing(x: Tensor, y: Tensor) -> Tensor:
    return l2_rows(l2_normalize(x), l2_normalize_over(y, "frame")) + cosine_rows(l2_normalize(x), l2_normalize(y))


def test_nothing_is_fetched_from_the_device_and_all_compiles() -> None:
    x, y = torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    expected = completing(x, y)
    with FakeTensorMode() as mode:
        assert completing(mode.from_tensor(x), mode.from_tensor(y)).shape == expected.shape
    compiled = torch.compile(completing, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, y), expected, rtol=0, atol=0)
