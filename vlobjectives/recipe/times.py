"""Points in time and what changes along them: whole numbers are steps, numbers with a point are shares of the run."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field

from vlobjectives.contracts.numbers import Amount, Share

Time = Annotated[int, Field(ge=0, le=10**9)] | Share
Weight = Amount | Annotated[tuple[tuple[Time, Amount], ...], Field(min_length=1)]


def in_steps(time: Time, steps: int) -> int:
    """The step that a point in time means in a run of `steps` steps."""
    return time if isinstance(time, int) else round(time * steps)


def weight_at(weight: Weight, step: int, steps: int) -> float:
    """The weight at a step (the first is 0): a number, or straight lines between points, level outside them."""
    if isinstance(weight, int | float):
        return float(weight)
    points = [(in_steps(time, steps), value) for time, value in weight]
    if step < points[0][0]:
        return points[0][1]
    for (start, low), (end, high) in pairwise(points):
        if start <= step < end:
            return low + (high - low) * (step - start) / (end - start)
    return points[-1][1]
