"""Chance levels and counts of many rows, from few."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vlobjectives import Term
from vlobjectives.costs.extrapolate import continued

NOTHING = torch.zeros(())
whole = st.integers(1, 200)


def told(rows: int, count: float, chance: float | None) -> dict[str, Term]:
    return {"a/x": Term(NOTHING, torch.tensor(count), 0.5, None if chance is None else torch.tensor(chance).double())}


@given(each=whole, candidates=whole, times=st.sampled_from([0, 1, 2]), rows=st.integers(65, 10**5), data=st.data())
def test_lines_go_on(each, candidates, times, rows, data):
    """A contrast in a group of any size, labels of any number: as if it had been computed."""
    seen = data.draw(st.integers(2, rows))
    small = {n: told(n, n * each, times * math.log(n * candidates) + 0.5) for n in (16, 32, 64)}
    term = continued(small, rows, {"a": seen})["a/x"]
    assert (term.count, term.weight) == (pytest.approx(rows * each, rel=1e-5), 0.5)
    assert term.chance == pytest.approx(times * math.log(seen * candidates) + 0.5, rel=1e-6)


def test_what_is_on_no_line_is_not_known():
    small = {n: told(n, n * (n - 1), math.log(n - 1)) for n in (16, 32, 64)}
    term = continued(small, 256, {"a": 256})["a/x"]
    assert math.isnan(term.count) and term.chance is None
    small = {n: told(n, n, None) for n in (16, 32, 64)}
    assert continued(small, 256, {"a": 256})["a/x"].chance is None
