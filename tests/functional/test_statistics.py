"""Intervals and tests against published tables and against their coverage."""

import math

import pytest
import torch

from vlobjectives.functional import holm_bonferroni, mean_interval, paired_interval, paired_t_test, wilson_interval
from vlobjectives.functional.statistics import t_probability, t_quantile


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
    assert wilson_interval(5, 10) == pytest.approx((0.2365931, 0.7634069), abs=1e-7)
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)  # Newcombe 1998, table I
    assert wilson_interval(0, 20) == (0.0, pytest.approx(0.1611, abs=1e-4))
    assert wilson_interval(20, 20) == (pytest.approx(0.8389, abs=1e-4), 1.0)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    for hits, n in ((-1, 5), (6, 5)):
        with pytest.raises(ValueError, match=f"{hits} hits of {n} trials"):
            wilson_interval(hits, n)


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


@pytest.mark.parametrize(
    ("t", "freedom", "probability"),
    [
        (12.706, 1, 0.05),
        (3.078, 1, 0.2),
        (4.303, 2, 0.05),
        (9.925, 2, 0.01),
        (2.132, 4, 0.1),
        (4.604, 4, 0.01),
        (3.169, 10, 0.01),
        (2.042, 30, 0.05),
        (1.980, 120, 0.05),
        (0.0, 7, 1.0),
        (math.inf, 3, 0.0),
    ],
)
def test_probabilities_of_the_table(t: float, freedom: int, probability: float) -> None:
    assert t_probability(t, freedom) == pytest.approx(probability, rel=2e-3)
    assert t_probability(-t, freedom) == t_probability(t, freedom)


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 150])
def test_probability_of_a_quantile_is_5_percent(freedom: int) -> None:
    assert t_probability(t_quantile(freedom), freedom) == pytest.approx(0.05, abs=1e-9)


def test_paired_test_of_two_drugs() -> None:
    """Student's own example (1908): hours of sleep that two drugs add; t = 4.0621 with 9 degrees, p = 0.002833."""
    one = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    other = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    assert paired_t_test(one, other) == pytest.approx(0.002833, abs=5e-7)
    assert paired_t_test(other, one) == paired_t_test(one, other)


def test_paired_test_by_hand() -> None:
    """Differences 1, 2, 3: t = 2 sqrt(3), and with 2 degrees P = 1 - t / sqrt(2 + t^2)."""
    t = 2 * math.sqrt(3)
    assert paired_t_test([1, 2, 3], [0, 0, 0]) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-12)
    assert paired_t_test([1, 2], [1, 2]) == 1 and paired_t_test([2, 3], [1, 2]) == 0
    with pytest.raises(ValueError, match="two pairs, not 1"):
        paired_t_test([1], [2])


def test_holm() -> None:
    assert holm_bonferroni([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm_bonferroni([0.5, 0.4, 0.9]) == [1, 1, 1]
    assert holm_bonferroni([0.03]) == [0.03] and holm_bonferroni([]) == []


def test_holm_finds_a_difference_where_none_is_in_5_percent_of_families() -> None:
    g = torch.Generator().manual_seed(0)
    families = torch.rand(4000, 4, dtype=torch.float64, generator=g).tolist()
    wrong = sum(min(holm_bonferroni(family)) < 0.05 for family in families) / 4000
    assert wrong == pytest.approx(1 - (1 - 0.05 / 4) ** 4, abs=4.5 * math.sqrt(0.05 * 0.95 / 4000))


def test_intervals_cover_as_often_as_they_say() -> None:
    g = torch.Generator().manual_seed(0)
    samples = torch.randn(4000, 5, dtype=torch.float64, generator=g).tolist()
    covered = sum(low <= 0 <= high for _, low, high in map(mean_interval, samples)) / 4000
    assert covered == pytest.approx(0.95, abs=4.5 * math.sqrt(0.05 * 0.95 / 4000))
    hits = (torch.rand(4000, 50, generator=g) < 0.1).sum(1).tolist()
    covered = sum(low <= 0.1 <= high for low, high in (wilson_interval(k, 50) for k in hits)) / 4000
    assert 0.92 < covered < 0.985
