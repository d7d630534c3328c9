"""Weights by learned uncertainty."""

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobjectives import Balancer, BalancerConfig, ObjectiveName, StepLosses

Form = Literal["common", "classification", "regression"]
SCALES: dict[Form, tuple[float, float]] = {
    "common": (1.0, 1.0),
    "classification": (1.0, 0.5),
    "regression": (0.5, 0.5),
}
"""Form -> what exp(-s) L and s are multiplied by."""


class Uncertainty(Balancer):
    """Weigh each objective by the inverse of a variance that is learned.

    With s = log sigma^2, its loss L becomes

      common          exp(-s) L + s
      classification  exp(-s) L + s / 2      published for a softmax: L / sigma^2 + log sigma (equation 10)
      regression      exp(-s) L / 2 + s / 2  published for a squared error: L / (2 sigma^2) + log sigma (equation 7)

    `common` is what most code computes: twice the form for regression. An objective that is wrong by much counts less:
    a factor comes to rest near 1 / L (1 / 2L with a softmax), so that every objective contributes alike.

    The recipe's weight stands before both terms, so that it goes on to say what an objective counts beside the others
    once they are balanced. A loss that may be negative or reach 0 has no resting place: its factor grows without end.

    The log-variances are parameters: `balance.log_variances.NAME`, one for each objective, moved by the optimiser at
    `optim.lr` (give `balance.*` a group of its own to have them learn faster), without weight decay.
    """

    paper = "Kendall et al., arXiv 1705.07115"

    class Config(BalancerConfig):
        form: Form = Field("common", description="of the loss; see above")
        forms: dict[ObjectiveName, Form] = Field({}, description="objectives that differ, such as {mgsc: regression}")
        start: float = Field(0.0, ge=-20, le=20, description="log sigma^2 at the first step")

    def __init__(self, config: "Uncertainty.Config", objectives: Sequence[str]):
        super().__init__(config, objectives)
        self.log_variances = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(config.start)) for name in self.objectives}
        )

    def _scales(self, names: Sequence[str], like: Tensor) -> tuple[Tensor, Tensor]:
        both = [SCALES[self.config.forms.get(name, self.config.form)] for name in names]
        found = like.new_tensor(both, dtype=torch.float64)
        return found[:, 0], found[:, 1]

    def _s(self, names: Sequence[str]) -> Tensor:
        return torch.stack([self.log_variances[name] for name in names]).double()

    def factors(self, names: Sequence[str]) -> Tensor:
        s = self._s(names)
        return self._scales(names, s)[0] * torch.exp(-s)

    def loss(self, step: StepLosses) -> Tensor:
        s = self._s(step.names)
        of_loss, of_s = self._scales(step.names, s)
        return (step.weights * (of_loss * torch.exp(-s) * step.losses + of_s * s)).sum()
