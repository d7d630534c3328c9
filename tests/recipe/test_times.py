"""Points in time and weights along them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlobjectives.recipe.times import CosineDecay, decay_at, in_steps, weight_at


def test_steps_and_shares():
    assert (in_steps(1, 1000), in_steps(1.0, 1000), in_steps(0.27, 1060), in_steps(0, 10)) == (1, 1000, 286, 0)


@pytest.mark.parametrize("step, weight", [(0, 0.0), (26, 0.0), (27, 0.0), (32, 1.0), (37, 2.0), (99, 2.0)])
def test_a_line_between_two_points(step, weight):
    assert weight_at(((0.27, 0.0), (37, 2.0)), step, 100) == pytest.approx(weight)


def test_a_number_and_a_jump():
    assert weight_at(2.0, 5, 10) == 2.0
    jump = ((0, 1.0), (5, 1.0), (5, 3.0))  # two points at one step: the later one counts from there
    assert [weight_at(jump, step, 10) for step in (4, 5, 9)] == [1.0, 3.0, 3.0]


@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 5)), min_size=1, max_size=5), st.integers(0, 60))
def test_a_weight_stays_between_its_points(points, step):
    points = sorted(points, key=lambda point: point[0])
    values = [value for _, value in points]
    assert min(values) - 1e-9 <= weight_at(tuple(points), step, 60) <= max(values) + 1e-9


@pytest.mark.parametrize("step", [0, 1, 5, 9])
def test_a_cosine_of_the_decay_is_byols(step):
    """tau = 1 - (1 - tau_base) (cos(pi k / K) + 1) / 2, 2006.07733, section 3.2."""
    found = decay_at(CosineDecay.model_validate({"from": 0.9, "to": 1.0}), step, 10)
    assert found == pytest.approx(1 - (1 - 0.9) * (math.cos(math.pi * step / 10) + 1) / 2, abs=1e-15)


def test_a_decay_is_a_number_or_lies_on_lines():
    assert decay_at(0.996, 7, 10) == 0.996
    assert [decay_at(((0, 0.5), (1.0, 0.9)), step, 4) for step in range(4)] == pytest.approx([0.5, 0.6, 0.7, 0.8])
