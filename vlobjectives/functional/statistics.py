"""Intervals and tests that a measured number is printed with. All are two-sided, intervals at 95 %.

Plain floats: these run once for each number of a summary.
"""

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

Z = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


def wilson_interval(hits: float, n: int) -> tuple[float, float]:
    """Return Wilson's score interval for a share of hits among independent trials.

    It is not the normal one, which has no width at 0 or all hits. Source: E. B. Wilson, JASA 22 (1927), 209-212.

    Args:
        hits: The number of hits, not necessarily whole.
        n: The number of trials.

    Returns:
        (low, high) in [0, 1]; (0, 1) of no trials.

    Raises:
        ValueError: `hits` lie outside of 0..n.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} trials")
    if n == 0:
        return 0.0, 1.0
    share, z2 = hits / n, Z * Z / n
    middle = (share + z2 / 2) / (1 + z2)
    half = Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n)) / (1 + z2)
    # Rounding alone would leave 1e-17 of nothing at the ends.
    return (0.0 if hits == 0 else middle - half), (1.0 if hits == n else middle + half)


def mean_interval(values: Iterable[float]) -> tuple[float, float, float]:
    """Return the mean of independent values with its interval by Student's t.

    Args:
        values: The values, one at least.

    Returns:
        (mean, low, high); infinite ends for one value.

    Raises:
        ValueError: There is no value.
    """
    x = [float(value) for value in values]
    if not x:
        raise ValueError("no values, no mean")
    mean = math.fsum(x) / len(x)
    if len(x) == 1:
        return mean, -math.inf, math.inf
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in x) / (len(x) - 1))
    half = t_quantile(len(x) - 1) * deviation / math.sqrt(len(x))
    return mean, mean - half, mean + half


def paired_interval(a: Iterable[float], b: Iterable[float]) -> tuple[float, float, float]:
    """Return the mean difference a - b of values that belong together, as seeds or samples do, with its interval.

    Args:
        a: The values of one side.
        b: Those of the other, as many and in the same order.

    Returns:
        (mean, low, high) of the differences; infinite ends for one pair.

    Raises:
        ValueError: Their numbers differ, or there is none.
    """
    return mean_interval(float(x) - float(y) for x, y in zip(a, b, strict=True))


def paired_t_test(a: Iterable[float], b: Iterable[float]) -> float:
    """Return the p-value of Student's paired t test of two series.

    It is the probability that chance alone gives paired values a mean difference as far from 0. Source: Student,
    Biometrika 6 (1908), 1-25.

    Args:
        a: The values of one side.
        b: Those of the other, as many and in the same order.

    Returns:
        A probability: 1 where no pair differs, 0 where all differ by the same.

    Raises:
        ValueError: Their numbers differ, or there are fewer than two pairs.
    """
    x = [float(one) - float(other) for one, other in zip(a, b, strict=True)]
    if len(x) < 2:
        raise ValueError(f"a paired test needs two pairs, not {len(x)}")
    mean = math.fsum(x) / len(x)
    variance = math.fsum((value - mean) ** 2 for value in x) / (len(x) - 1)
    if variance == 0:
        return 1.0 if mean == 0 else 0.0
    return t_probability(mean / math.sqrt(variance / len(x)), len(x) - 1)


def holm_bonferroni(probabilities: Sequence[float]) -> list[float]:
    """Adjust the probabilities of a family of tests: below 0.05 they may be called different, all of them together.

    The i-th smallest of m (i from 0) is multiplied by m - i, is no smaller than those before it and 1 at most. Source:
    S. Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.

    Args:
        probabilities: The p-values of the m tests.

    Returns:
        The adjusted ones, in the same order.
    """
    adjusted, highest = [0.0] * len(probabilities), 0.0
    for rank, place in enumerate(sorted(range(len(probabilities)), key=lambda place: probabilities[place])):
        highest = max(highest, min(1.0, (len(probabilities) - rank) * probabilities[place]))
        adjusted[place] = highest
    return adjusted


def t_probability(t: float, freedom: int) -> float:
    """Return P(|T| >= |t|) of Student's t, to 1e-15.

    By the finite sums of Abramowitz and Stegun, 26.7.3 and 26.7.4.

    Args:
        t: The statistic.
        freedom: The degrees of freedom.

    Returns:
        A probability.

    Raises:
        ValueError: `freedom` is under 1.
    """
    if freedom < 1:
        raise ValueError(f"Student's t has 1 degree of freedom or more, not {freedom}")
    return max(0.0, 1 - _within(abs(t), freedom))


@lru_cache(maxsize=1024)
def t_quantile(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t, to 1e-9.

    From 200 degrees on it is the expansion about the normal quantile (Abramowitz and Stegun, 26.7.5), below it is found
    by halving an interval of the exact distribution (26.7.3 and 26.7.4).

    Args:
        freedom: The degrees of freedom.

    Returns:
        The quantile, between 1.96 and 12.7.

    Raises:
        ValueError: `freedom` is under 1.
    """
    if freedom < 1:
        raise ValueError(f"Student's t has 1 degree of freedom or more, not {freedom}")
    if freedom >= 200:
        return (
            Z
            + (Z**3 + Z) / (4 * freedom)
            + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)
            + (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / (384 * freedom**3)
        )
    low, high = Z, 13.0  # the quantile is 12.7 for one degree of freedom and falls towards Z
    for _ in range(60):
        middle = (low + high) / 2
        if _within(middle, freedom) < 0.95:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """P(|T| < t): a finite sum of powers of cos(theta), theta = atan(t / sqrt(freedom))."""
    theta = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = freedom % 2
    term = total = 0.0 if freedom == 1 else cosine if odd else 1.0
    for k in range(2 + odd, freedom - 1, 2):
        term *= (k - 1) / k * cosine * cosine
        total += term
    return 2 / math.pi * (theta + sine * total) if odd else sine * total
