"""The recipe's optimiser, for a loop of one's own."""

from collections.abc import Sequence
from typing import Any

import torch

from vlobjectives.api.arguments import blaming
from vlobjectives.errors import NonFiniteError, RecipeError
from vlobjectives.recipe.model import Recipe
from vlobjectives.system.losses import Losses
from vlobjectives.system.system import System
from vlobjectives.training import schedule
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.update import Update, Updater


class SystemOptimizer:
    """Moves a system as `vlobj run` does: `backward` for each micro-batch, then `step`.

    It keeps the recipe's `optim` (groups, schedule, clipping), its balancer, the scaler of run.precision=fp16, and sums
    gradients over processes; what follows a step (`System.after_step`) is done too. The same losses of the same steps
    give the same weights, bit for bit.

    Attributes:
        steps: The number of the last step, counted from 1; `system.save` names the checkpoint by it.
        torch: The torch.optim.AdamW below it.
    """

    def __init__(self, system: System, recipe: Recipe, device: torch.device):
        steps = recipe.run.steps
        self._optimizer = Optimizer(system, recipe.optim, steps)
        fp16 = system.autocast is not None and system.autocast[1] == torch.float16
        self._scaler = torch.amp.GradScaler(device.type) if fp16 else None
        compared = schedule.every(recipe.run.log.conflict, steps)
        self._updater = Updater(system, self._optimizer, device, self._scaler, compared)
        self._update: Update | None = None
        self._begun: int | None = None
        self.steps = 0

    @property
    def torch(self) -> torch.optim.AdamW:
        return self._optimizer.torch

    def backward(self, losses: Losses) -> None:
        """Run the backward pass of a micro-batch: of `losses.total`, with a balancer's factors and fp16's scale.

        Args:
            losses: What `system(batch, step)` gave. All micro-batches up to the next `step()` are of one step.

        Raises:
            RecipeError: They are of another step than those before them.
        """
        if self._begun not in (None, losses.step):
            raise RecipeError.one(
                f"losses of step {losses.step} follow losses of step {self._begun}, and no step was taken between",
                "optimizer.step() after the micro-batches of each step",
            )
        self._begun = losses.step
        if not losses.weights:  # nothing is live: the samples go by
            return
        with blaming():
            if self._update is None:
                self._update = self._updater.begin(losses.step, tuple(losses.weights))
            self._update.backward(losses)

    def step(self) -> dict[str, Any]:
        """Move the weights by the gradients of all micro-batches since the last step.

        It sums gradients over processes, clips them, moves the weights, does what follows a step, and zeroes gradients.

        Returns:
            The step's numbers as metrics.jsonl has them: `loss`, `terms`, `gradient_norm`, `rate`; of all micro-batches
            and processes.

        Raises:
            RecipeError: There was no `backward` since the last step.
            NonFiniteError: A loss, the gradient or a statistic is not finite. Nothing has moved.
        """
        update, step = self._update, self._begun
        self._update = self._begun = None
        if step is None:
            raise RecipeError.one(
                "there was no backward pass since the last step",
                "optimizer.backward(losses) in place of losses.total.backward()",
            )
        rate = self._optimizer.set_rates(step)
        metrics: dict[str, Any] = {"step": step, "loss": 0.0, "terms": {}, "gradient_norm": 0.0}
        try:
            if update is not None:
                with blaming():
                    metrics = update.finish(lambda bad: _refuse(step, bad))
        finally:
            self._optimizer.zero()
        self.steps = step + 1
        return metrics | {"rate": rate}

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of the optimiser and its scaler.

        Returns:
            `optimiser` and `scaler`, the latter None without fp16.
        """
        return {
            "optimiser": self._optimizer.state(),
            "scaler": self._scaler.state_dict() if self._scaler else None,
        }


def _refuse(step: int, bad: Sequence[str]) -> None:
    raise NonFiniteError(
        f"step {step}: {', '.join(bad) or 'the gradient'} went non-finite",
        "the optimizer has not moved; look at the batch, lower optim.lr, set optim.clip, or use run.precision=fp32",
    )
