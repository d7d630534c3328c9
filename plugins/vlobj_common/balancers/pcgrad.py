"""Gradients that are turned out of each other's way."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vlobjectives import Balancer, BalancerConfig, StepLosses


class PCGrad(Balancer):
    """Of two gradients that point against each other each loses what points against the other; then all are summed.

    For each objective i, from its gradient g: for all others j in random order, where g . g_j < 0, g becomes
    g - (g . g_j / |g_j|^2) g_j, with g_j as it was (algorithm 1). The order is drawn anew for each objective and step,
    a pure function of the seed, the step and the objective.

    All parts that `balance.on` names are one vector; other weights get the plain sum. Gradients are those of the
    objectives as the recipe weighs them, so that without conflict nothing changes. An objective that does not reach
    these parts has no say.
    """

    paper = "PCGrad, arXiv 2001.06782"
    needs_gradients = True

    class Config(BalancerConfig):
        pass

    def __init__(self, config: "PCGrad.Config", objectives: Sequence[str]):
        super().__init__(config, objectives)

    def _coefficients(self, step: StepLosses) -> Tensor:
        """How much of each g_j is in each projected gradient, [n, n]; each is a sum of the given ones."""
        products, own = step.products(), torch.arange(len(step.names), device=step.losses.device)
        squares = products.diagonal()
        safe = torch.where(squares > 0, squares, torch.ones_like(squares))
        found = torch.eye(len(own), dtype=products.dtype, device=products.device)
        order = step.noise.order("others", len(own))
        for others in order.T:  # the k-th other of each objective
            inner = (found * products[others]).sum(1)
            taken = torch.where(others == own, torch.zeros_like(inner), inner.clamp(max=0) / safe[others])
            found = found.index_put((own, others), -taken, accumulate=True)
        return found

    def combine(self, step: StepLosses) -> Mapping[str, Tensor]:
        each = self._coefficients(step).sum(0)
        return {part: each.to(rows.dtype) @ rows for part, rows in step.gradients.items()}

    def metrics(self, step: StepLosses) -> Mapping[str, Tensor]:
        against = (step.products().triu(1) < 0).sum()
        return {"conflicting_pairs": against}
