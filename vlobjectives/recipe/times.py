"""Points in time and what changes along them: whole numbers are steps, numbers with a point are shares of the run."""

import math
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from vlobjectives.contracts.numbers import Amount, Share

Time = Annotated[int, Field(ge=0, le=10**9)] | Share
Weight = Amount | Annotated[tuple[tuple[Time, Amount], ...], Field(min_length=1)]


class CosineDecay(BaseModel):
    """From one value to another along half a cosine over the whole run (BYOL, 2006.07733, section 3.2)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    from_: Share = Field(alias="from", description="the decay at the first step")
    to: Share = Field(description="the decay that the end of the run comes to")


Decay = Share | Annotated[tuple[tuple[Time, Share], ...], Field(min_length=1)] | CosineDecay


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


def decay_at(decay: Decay, step: int, steps: int) -> float:
    """The decay of averages at a step s (the first is 0) of S: a number or points as `weight_at`, or
    to - (to - from) (1 + cos(pi s / S)) / 2."""
    if isinstance(decay, CosineDecay):
        return decay.to - (decay.to - decay.from_) * (1 + math.cos(math.pi * step / steps)) / 2
    return weight_at(decay, step, steps)
