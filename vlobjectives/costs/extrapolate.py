"""Counts and chance levels of many rows, from what few rows show."""

from collections.abc import Mapping, Sequence
from math import log, nan

from vlobjectives.contracts.values import Term

COUNT, CHANCE = 0.03, 0.002
"""How near a size between must lie to the line, relatively; a count may hang on draws."""


def continued(small: Mapping[int, Mapping[str, Term]], rows: int, seen: Mapping[str, int]) -> dict[str, Term]:
    """The terms of `rows` rows, from those of three or more smaller sizes (rows -> terms, every objective seeing all).

    Counts are straight lines over rows, chance levels over their logarithm: a guess among all candidates of a contrast
    costs a multiple of ln(candidates), and candidates grow with the rows; one among labels costs the same for any
    number of rows. What lies on no such line (pairs that grow with the square of their rows) is not known: a count is
    NaN, a chance level None.

    seen  objective -> rows that it sees together, which its chance level hangs on
    """
    sizes = sorted(small)
    found = {}
    for name, last in small[sizes[-1]].items():
        terms = [small[size][name] for size in sizes]
        count = _line([float(size) for size in sizes], [float(term.count) for term in terms], float(rows), COUNT)
        chance = None
        chances = [float(term.chance) for term in terms if term.chance is not None]
        if len(chances) == len(terms):
            together = log(seen[name.split("/")[0]])
            chance = _line([log(size) for size in sizes], chances, together, CHANCE)
        found[name] = Term(last.total, nan if count is None else count, last.weight, chance)
    return found


def _line(x: Sequence[float], y: Sequence[float], at: float, close: float) -> float | None:
    """The value at `at` of the line through the first and last point; None where one between lies beside it."""

    def value(here: float) -> float:
        return y[0] + (y[-1] - y[0]) * (here - x[0]) / (x[-1] - x[0])

    beside = any(abs(value(here) - there) > close * abs(there) for here, there in zip(x, y))
    return None if beside else value(at)
