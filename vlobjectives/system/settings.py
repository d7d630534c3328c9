"""What a system takes of its recipe: seed, schedules, groups, streams."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Settings:
    """What the recipe says about running the system.

    weights   objective -> a number or points in time (see schedule)
    group     objective -> `all` or rows
    sources   objective -> the sources on whose batches it is computed, where those are not all
    steps     length of the run, which shares of time are of
    share     all | none, see planning
    stack     whether inputs of one shape are rows of one pass, see stacking
    recompute parts whose passes are recomputed in the backward pass
    gradient  exact | published, see functional.all_gather_with_grad
    balanced_on  parts, or patterns of their parameters, whose gradients a balancer compares
    """

    seed: int
    weights: Mapping[str, Any]
    group: Mapping[str, int | str]
    streams: Mapping[str, str]
    pairing_groups: Mapping[str, int]
    steps: int = 1
    share: str = "all"
    stack: bool = False
    recompute: frozenset[str] = frozenset()
    gradient: Literal["exact", "published"] = "exact"
    sources: Mapping[str, Collection[str]] = field(default_factory=dict)
    balanced_on: Sequence[str] = ()
