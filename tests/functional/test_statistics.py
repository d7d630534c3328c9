"""Intervals against published tables and against their coverage."""

import math

import pytest
import torch

from vlobjectives.functional import mean_interval, paired_interval, wilson
from vlobjectives.functional.statistics import t_quantile


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [
        (1, 12.706),
        (2, 4.303),
        (3, 3.182),
        (4, 2.776),
        (9, 2.262),
        (30, 2.042),
        (120, 1.980),
        (100_000, 1.960),
    ],
)
def test_quantiles_of_the_table(freedom: int, quantile: float) -> None:
    assert t_quantile(freedom) == pytest.approx(quantile, abs=5e-4)


@pytest.mark.parametrize("freedom", [1, 2, 3, 8, 57, 198, 199, 200, 201, 5000])
def test_quantiles_hold_95_percent_of_the_density(freedom: int) -> None:
    """Simpson's rule over the density, which knows of neither formula."""
    log = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    t = torch.linspace(0, t_quantile(freedom), 20_001, dtype=torch.float64)
    density = math.exp(log) / math.sqrt(freedom * math.pi) * (1 + t * t / freedom) ** (-(freedom + 1) / 2)
    step = t[1] - t[0]
    half = step / 3 * (density[0] + 4 * density[1::2].sum() + 2 * density[2:-1:2].sum() + density[-1])
    assert 2 * half.item() == pytest.approx(0.95, abs=3e-10)


def test_no_quantile_without_freedom() -> None:
    with pytest.raises(ValueError, match="1 degree of freedom or more, not 0"):
        t_quantile(0)


def test_wilson() -> None:
    assert wilson(5, 10) == pytest.approx((0.2365931, 0.7634069), abs=1e-7)
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson(0, 20) == (0.0, pytest.approx(0.1611, abs=1e-4))
    assert wilson(20, 20) == (pytest.approx(0.8389, abs=1e-4), 1.0)
    assert wilson(0, 0) == (0.0, 1.0)
    for hits, n in ((-1, 5), (6, 5)):
        with pytest.raises(ValueError, match=f"{hits} hits of {n} trials"):
            wilson(hits, n)


def test_mean() -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0, 4.0])
    half = 3.1824463 * math.sqrt(5 / 3) / 2
    assert (mean, low, high) == pytest.approx((2.5, 2.5 - half, 2.5 + half), abs=1e-6)
    assert mean_interval(torch.tensor([2.0, 2.0])) == (2, 2, 2)
    assert mean_interval([3]) == (3, -math.inf, math.inf)
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])


def test_paired() -> None:
    """Seeds that move both alike: the difference is known far better than either mean."""
    a, b = [10.0, 20.0, 30.0], [9.0, 19.1, 28.9]
    mean, low, high = paired_interval(a, b)
    assert mean == pytest.approx(1.0) and low > 0
    assert (mean, low, high) == mean_interval([x - y for x, y in zip(a, b)])
    assert mean_interval(a)[1] < mean_interval(b)[0]
    with pytest.raises(ValueError):
        paired_interval([1.0], [1.0, 2.0])


def test_intervals_cover_as_often_as_they_say() -> None:
    g = torch.Generator().manual_seed(0)
    samples = torch.randn(4000, 5, dtype=torch.float64, generator=g).tolist()
    covered = sum(low <= 0 <= high for _, low, high in map(mean_interval, samples)) / 4000
    assert covered == pytest.approx(0.95, abs=4.5 * math.sqrt(0.05 * 0.95 / 4000))
    hits = (torch.rand(4000, 50, generator=g) < 0.1).sum(1).tolist()
    covered = sum(low <= 0.1 <= high for low, high in (wilson(k, 50) for k in hits)) / 4000
    assert 0.92 < covered < 0.985
