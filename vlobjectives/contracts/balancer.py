"""Balancers: what several objectives weigh against each other, found out while they train."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from vlobjectives.contracts.config import BalancerConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.noise import Noise
from vlobjectives.contracts.parts import CannotBuild


@dataclass(frozen=True, eq=False)
class StepLosses:
    """The losses of a training step, over all its micro-batches and processes.

    They are the same on every process, and those of one process with all rows in one batch. `n` objectives are live, in
    the recipe's order; tensors are on the run's device and without gradient.

    Attributes:
        names: The live objectives.
        losses: [n] float64, each objective's value: its terms by their own weights, without the recipe's weight.
        weights: [n] float64, the recipe's weights at this step.
        factors: [n] float64, what the balancer gave. The step's loss is the sum of weights * factors * losses.
        noise: Random numbers of this step, a row for each live objective. An objective's numbers hang on its place in
            the recipe, whoever else is live.
        gradients: Part -> [n, P] float32 (float64 where the part is): each objective's share of the step's gradient,
            that of weights * factors * losses, on the P chosen numbers of this part; a row of zeros where an objective
            does not reach the part. Empty unless the balancer `needs_gradients`.
    """

    names: tuple[str, ...]
    losses: Tensor
    weights: Tensor
    factors: Tensor
    noise: Noise
    gradients: Mapping[str, Tensor] = field(default_factory=dict)

    def products(self) -> Tensor:
        """Return the inner products of the objectives' gradients over all chosen parts.

        Returns:
            [n, n] float64; zeros where there are no gradients.
        """
        each = [rows.double() @ rows.double().T for rows in self.gradients.values()]
        return torch.stack(each).sum(0) if each else self.losses.new_zeros(len(self.names), len(self.names))


class Balancer(nn.Module, Configured):
    """Chooses how much each objective counts. It stands under the recipe's key `balance`, one for a run.

    In a step the host calls, in this order:

      - `factors` before the first pass; every objective's loss is multiplied by its own on top of the recipe's weight
      - forward and backward of all micro-batches; sums over processes
      - `combine`, which may exchange the gradient of chosen parts (gradient surgery)
      - `metrics`, logged under `balance` of the step
      - `loss`, of its own parameters, which the optimiser then moves with all others
      - `after_step`, in which buffers are written, after the optimiser has moved

    What it learns from a step therefore acts from the next one on; what has to act in the step itself is `combine`. A
    step that the scaler of fp16 leaves out ends before `loss`.

    State lies in parameters and buffers alone, one number or row for each of `objectives`: they are saved and restored
    with the run. An objective may be live at some steps only; the parameter of one that is not must get no gradient.
    Everything is computed by each process for itself from equal numbers: call no collective, draw only from `noise`.
    """

    Config: type[BalancerConfig] = BalancerConfig
    paper: ClassVar[str] = ""
    needs_gradients: ClassVar[bool] = False
    """Whether `StepLosses.gradients` are wanted. It costs a backward pass for each live objective down to the chosen
    parts, and n times their gradients in memory. Which parts: the recipe's `balance.on`."""

    def __init__(self, config: BalancerConfig, objectives: Sequence[str]):
        super().__init__()
        self.config = config
        self.objectives = tuple(objectives)

    def factors(self, names: Sequence[str]) -> Tensor:
        """Return what the losses of the live objectives are multiplied by at this step.

        Args:
            names: The live objectives, in the recipe's order.

        Returns:
            [n], finite, in the order of `names`; all ones by default.
        """
        return torch.ones(len(names))

    def combine(self, step: StepLosses) -> Mapping[str, Tensor]:
        """Return what takes the place of the summed gradient of chosen parts.

        Args:
            step: The step, with gradients.

        Returns:
            Part -> [P], of the parts whose gradient is exchanged. None of them by default.
        """
        return {}

    def metrics(self, step: StepLosses) -> Mapping[str, Tensor]:
        """Return the balancer's own numbers to be logged.

        Args:
            step: The step's losses.

        Returns:
            Name -> 0-d tensor; none by default.
        """
        return {}

    def loss(self, step: StepLosses) -> Tensor | None:
        """Return the loss of the balancer's own parameters, where it has any that the optimiser trains.

        They are named `balance.*` in `optim.groups`, have no weight decay unless a group says so, and are outside of
        the clipped norm.

        Args:
            step: The step's losses.

        Returns:
            A 0-d tensor, or None where there is nothing to train.
        """
        return None

    def after_step(self, step: StepLosses) -> None:
        """Write buffers after the optimiser has moved; called without gradient.

        Args:
            step: The step's losses.
        """

    def cannot(self, why: str, hint: str = "") -> CannotBuild:
        """Return the error that says why the balancer cannot be built, to be raised.

        Args:
            why: What does not fit.
            hint: What to change; may be empty.
        """
        return CannotBuild(why, hint)
