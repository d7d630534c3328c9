"""Weights under which all objectives pull with equal force."""

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import Amount, Balancer, BalancerConfig, Rate, StepLosses

LEAST = 1e-3
"""Below this no factor falls: a negative one would train an objective backwards, which the paper does not speak of."""


class GradNorm(Balancer):
    """The norms of the objectives' gradients on common weights W are made alike; one that learns slowly pulls more.

    With factors w, G_i = |gradient of w_i L_i on W|, and r_i = (L_i / L_i(0)) / mean of these: a gradient step of `lr`
    over w on the sum of |G_i - mean(G) r_i^alpha|, the second of them held constant; then w is scaled so that it sums
    to the number of objectives (algorithm 1). w(t) trains step t, and what the step shows makes w(t+1).

    W are the parts that `balance.on` names: published is the last layer that all objectives share, which costs least.
    The recipe's weights stand on top of w and are no part of the norms that are made alike. Objectives that are not
    live keep what they had, and the others share the rest among themselves; L_i(0) is the loss at the first live step.
    """

    paper = "GradNorm, arXiv 1711.02257"
    needs_gradients = True

    class Config(BalancerConfig):
        alpha: Amount = Field(
            1.5, description="how much faster an objective is to learn that has learned less; 0: all alike"
        )
        lr: Rate = Field(0.025, description="rate of the factors' own gradient step")

    def __init__(self, config: "GradNorm.Config", objectives: Sequence[str]):
        super().__init__(config, objectives)
        self.shares: Tensor
        self.first: Tensor
        self.register_buffer("shares", torch.ones(len(self.objectives), dtype=torch.float64))
        self.register_buffer("first", torch.zeros(len(self.objectives), dtype=torch.float64))  # 0: not live so far

    def _places(self, names: Sequence[str]) -> Tensor:
        return torch.tensor([self.objectives.index(name) for name in names], device=self.shares.device)

    def factors(self, names: Sequence[str]) -> Tensor:
        own = self.shares[self._places(names)]
        return own * len(names) / own.sum()

    def _norms(self, step: StepLosses) -> Tensor:
        """|gradient of L_i on W|, [n]."""
        return step.products().diagonal().sqrt() / (step.weights * step.factors)

    def _first(self, step: StepLosses) -> Tensor:
        known = self.first[self._places(step.names)]
        return torch.where(known == 0, step.losses, known)

    def _rates(self, step: StepLosses) -> Tensor:
        """r_i, the objectives' inverse training rates beside each other, [n]."""
        first = self._first(step)
        ratio = torch.where(first != 0, step.losses / first, torch.ones_like(first))  # 0: nothing was scored so far
        return ratio / ratio.mean()

    def metrics(self, step: StepLosses) -> Mapping[str, Tensor]:
        pulls, rates = step.factors * self._norms(step), self._rates(step)
        return {f"{name}/norm": pulls[i] for i, name in enumerate(step.names)} | {
            f"{name}/rate": rates[i] for i, name in enumerate(step.names)
        }

    def after_step(self, step: StepLosses) -> None:
        norms, places = self._norms(step), self._places(step.names)
        pulls = step.factors * norms
        wanted = pulls.mean() * self._rates(step) ** self.config.alpha
        moved = (step.factors - self.config.lr * torch.sign(pulls - wanted) * norms).clamp(min=LEAST)
        self.first[places] = self._first(step)
        self.shares[places] = moved / moved.sum() * self.shares[places].sum()
