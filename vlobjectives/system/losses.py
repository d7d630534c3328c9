"""What objectives of a batch give: terms, counts, weights, the total."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.values import Term
from vlobjectives.errors import RecipeError
from vlobjectives.runtime import distributed
from vlobjectives.system.step_statistics import (
    Joined,
    Statistic,
    Statistics,
    added,
    joined,
    non_finite,
    refuse_non_finite,
    takes,
)


@dataclass
class Losses:
    """What a forward pass of the system gives.

    terms    `objective/term` -> Term, sums of this micro-batch
    weights  objective -> its weight at this step
    counts   `objective/term` -> count over all processes and micro-batches, which each sum is divided by
    statistics  objective -> name -> what it returned beside terms for `after_step`, of this micro-batch
    step     the training step that they are of
    factors  objective -> what a balancer multiplies its weight by at this step; empty without one
    """

    terms: Mapping[str, Term]
    weights: Mapping[str, float]
    counts: Mapping[str, Tensor] = field(default_factory=dict)
    statistics: Statistics = field(default_factory=dict)
    step: int = 0
    factors: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def total(self) -> Tensor:
        """The weighted sum of all terms; its gradient, summed over processes and micro-batches, is the step's.

        Without a term, at a step at which no objective has a weight, a zero that no parameter has a gradient of.
        """
        shares = [self.weighted(name) for name in self.terms]
        return sum(shares[1:], shares[0]) if shares else torch.zeros((), requires_grad=True)

    def share(self, objective: str) -> Tensor:
        """An objective's share of the total."""
        shares = [self.weighted(name) for name in self.terms if name.split("/")[0] == objective]
        return sum(shares[1:], shares[0])

    def value(self, name: str) -> Tensor:
        """This micro-batch's share of a term's value: sum over global count; 0 where nothing was scored."""
        count = self.counts[name]
        return self.terms[name].total / torch.where(count > 0, count, torch.ones_like(count))

    def weighted(self, name: str) -> Tensor:
        objective = name.split("/")[0]
        weight = self.weights[objective] * self.terms[name].weight
        value = self.value(name)
        if not weight:
            return value.detach() * 0
        return value * weight * self.factors[objective] if objective in self.factors else value * weight


def summed(counts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Counts summed over processes, in one message."""
    if not distributed.active() or not counts:
        return dict(counts)
    together = torch.stack([count.double() for count in counts.values()])
    torch.distributed.all_reduce(together)
    return dict(zip(counts, together))


def joined_losses(objectives: Mapping[str, Objective], losses: Sequence[Losses]) -> tuple[int | None, Joined]:
    """The step of the losses of its micro-batches, and what `after_step` of each objective gets. Raises RecipeError
    where they are left out and needed, NonFiniteError for a statistic."""
    if not losses and (needed := [name for name, one in objectives.items() if takes(one)]):
        raise RecipeError.one(
            "it changes its buffers by the losses of each step, and after_step() is not given them",
            "system.after_step(losses), or let system.optimizer() move the optimiser",
            path=f"objectives.{needed[0]}",
        )
    names = tuple(dict.fromkeys(name for one in losses for name in one.weights))
    statistics = joined(objectives, names, [one.statistics for one in losses])
    step = losses[0].step if losses else None
    refuse_non_finite(objectives, step or 0, non_finite(statistics))
    return step, statistics


def _tensor(count: Tensor | float, like: Tensor) -> Tensor:
    if isinstance(count, Tensor):
        return count.detach().double()
    return torch.full((), float(count), dtype=torch.float64, device=like.device)  # filled there: no wait for a copy


def combined(name: str, one: Term | Statistic, other: Term | Statistic, objective: Objective) -> Term | Statistic:
    """What an objective returned for two groups of rows, as one. Raises ContractError where they do not fit."""
    if isinstance(one, Term) and isinstance(other, Term):
        return _added(one, other)
    return added(name, one, other, objective)


def _added(a: Term, b: Term) -> Term:
    """Two groups' terms as one; the chance levels weighted by count."""
    chance = None
    if a.chance is not None and b.chance is not None:
        count = a.count + b.count
        safe = torch.where(count > 0, count, torch.ones_like(count)) if isinstance(count, Tensor) else max(count, 1)
        chance = (a.chance * a.count + b.chance * b.count) / safe
    return Term(a.total + b.total, a.count + b.count, a.weight, chance)
