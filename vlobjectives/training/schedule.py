"""The learning rate over a run, and when objectives come and go."""

import math
from typing import Any

from vlobjectives.recipe.times import Time, Weight, in_steps, weight_at


def live_sets(weights: dict[str, Weight], steps: int) -> dict[tuple[str, ...], int]:
    """Every set of objectives that is ever live, with the first step at which it is."""
    near = {0, steps - 1}
    for weight in weights.values():
        if not isinstance(weight, int | float):
            for time, _ in weight:
                near |= {in_steps(time, steps) + by for by in (-1, 0, 1)}
    found: dict[tuple[str, ...], int] = {}
    for step in sorted(step for step in near if 0 <= step < steps):
        live = tuple(name for name, weight in weights.items() if weight_at(weight, step, steps))
        found.setdefault(live, step)
    return found


def rate_factor(step: int, steps: int, warmup: Time, then: str, floor: float, start: Time | None = None) -> float:
    """The factor on a group's learning rate: straight up over the warm-up, then cosine or linear down to `floor`.

    start  a group that starts late stands still until then and has its own warm-up from there, on top of the common
           curve
    """
    length, first = in_steps(warmup, steps), 0 if start is None else in_steps(start, steps)
    rise = 0.0 if step < first else min(1.0, (step - first + 1) / length) if length > 0 else 1.0
    done = min(1.0, max(0.0, (step - length) / max(1, steps - length)))
    fall = {
        "constant": 1.0,
        "linear": 1 - (1 - floor) * done,
        "cosine": floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)),
    }[then]
    return rise * fall


def every(when: Any, steps: int) -> range:
    """The steps at which something is due."""
    if when is None or (when.steps is None and when.share is None):
        return range(0)
    gap = when.steps or max(1, in_steps(float(when.share), steps))
    return range(gap, steps + 1, gap)
