"""The laws of the l2 and cosine forms, and of the two ways to make clips unit rows."""

import math

import pytest
import torch
from arrays import leaf
from hypothesis import given, settings
from hypothesis import strategies as st

from vlobjectives.functional import cosine_rows, l2_rows, unit, unit_over


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_forms_are_functions_of_the_cosine(seed: int) -> None:
    p, t = unit(torch.randn(2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))
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
    assert torch.equal(unit_over(x, "feature"), unit(x))


def test_frame_axis_with_one_frame_leaves_signs_and_no_gradient() -> None:
    x = leaf(torch.randn(4, 1, 6, dtype=torch.float64))
    value = unit_over(x, "frame")
    torch.testing.assert_close(value, x.sign(), rtol=0, atol=1e-15)
    (value * torch.randn(4, 1, 6)).sum().backward()
    assert x.grad.abs().max() < 1e-12


def test_frame_axis_has_unit_length_over_frames() -> None:
    value = unit_over(torch.randn(2, 3, 4, dtype=torch.float64), "frame")
    torch.testing.assert_close(value.norm(dim=1), torch.ones(2, 4, dtype=torch.float64), rtol=0, atol=1e-14)


def test_other_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="feature or frame, not 'time'"):
        unit_over(torch.ones(1, 1, 1), "time")
