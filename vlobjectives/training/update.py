"""What an optimiser step does with the losses of its micro-batches, in `vlobj run` and in a loop of one's own alike."""

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vlobjectives.contracts.objective import RETURNS
from vlobjectives.errors import Place, PluginError
from vlobjectives.runtime import distributed
from vlobjectives.system.losses import Losses
from vlobjectives.system.step_statistics import Joined, Statistics, joined, refuse_non_finite
from vlobjectives.system.system import System
from vlobjectives.training.balance import Balance, Told
from vlobjectives.training.optimizer import Optimizer

Refuse = Callable[[Sequence[str]], None]
"""Raises NonFiniteError, told the terms whose values are not finite; of none it is the gradient that is not."""


@dataclass
class Updater:
    """A system with its optimiser.

    scaler    of fp16; None otherwise
    compared  numbers of finished steps at which the objectives' gradients are compared
    """

    system: System
    optimiser: Optimizer
    device: torch.device
    scaler: torch.amp.GradScaler | None = None
    compared: Collection[int] = ()

    def __post_init__(self) -> None:
        self.balance = Balance(self.system, self.device, self.compared)

    def begin(self, step: int, names: Sequence[str]) -> "Update":
        """A step that begins, with these objectives live; gradients are those that the caller left."""
        return Update(self, step, names)


class Update:
    """One step: `backward` of each micro-batch, then `finish`."""

    def __init__(self, of: Updater, step: int, names: Sequence[str]):
        self.of, self.system, self.step, self.names = of, of.system, step, tuple(names)
        self.balance = of.balance.begin(step, names)
        self.rows: list[dict[str, list[torch.Tensor]]] = []
        self.weights: dict[str, float] = {}
        self.parts: list[Statistics] = []

    def backward(self, losses: Losses) -> None:
        """The backward pass of a micro-batch."""
        losses = self.balance.add(losses, self.of.scaler)
        total = losses.total
        with self.system.backward_blamed():
            (self.of.scaler.scale(total) if self.of.scaler else total).backward()
        self.parts.append(losses.statistics)
        self.rows.append({name: self._row(losses, name) for name in losses.terms})
        for name, term in losses.terms.items():
            self.weights[name] = losses.weights[name.split("/")[0]] * term.weight

    def finish(self, refuse: Refuse) -> dict[str, Any]:
        """Sums gradients over processes, clips them, moves the optimiser, and what follows; gives the step's metrics.

        Raises NonFiniteError (through `refuse`, or for a statistic) and PluginError before anything moves, the same on
        every process.
        """
        statistics = joined(self.system.objectives, self.names, self.parts)
        rows, norm, broken, told = self._summed(statistics)
        self._refuse_counts(rows)
        bad = [name for name, row in rows.items() if not math.isfinite(row[0])]
        # an fp16 gradient that overflows is the scaler's to skip, until its scale is down to 1; a loss never is
        if bad or not (math.isfinite(norm) or (self.of.scaler and self.of.scaler.get_scale() > 1)):
            refuse(bad)
        refuse_non_finite(self.system.objectives, self.step, broken)
        self._move(norm, statistics)
        weights = self.weights
        if self.balance.factors:
            weights = {name: weight * told.factor(name) for name, weight in weights.items()}
        terms = {
            name: {
                "value": value,
                "weight": weights[name],
                "weighted": weights[name] * value,
                "chance": None if math.isnan(chance) else chance,
                "count": count,
            }
            for name, (value, count, chance) in rows.items()
        }
        metrics = {
            "step": self.step,
            "loss": sum(weights[name] * value for name, (value, _, _) in rows.items()),
            "terms": terms,
            "gradient_norm": float(norm) if math.isfinite(norm) else None,
        }
        averages = self.system.averages
        scheduled = averages.sources and not isinstance(averages.decay, int | float)
        return metrics | told.metrics | ({"ema_decay": averages.decay_at(self.step)} if scheduled else {})

    def _row(self, losses: Losses, name: str) -> list[torch.Tensor]:
        """A term's value, count and chance level in a micro-batch."""
        chance, device = losses.terms[name].chance, self.of.device
        if not isinstance(chance, torch.Tensor):  # filled on the device: a copy from here would wait for it
            chance = torch.full((), math.nan if chance is None else chance, dtype=torch.float64, device=device)
        return [
            losses.value(name).detach().double(),
            losses.counts[name].double(),
            chance.detach().double(),
        ]

    def _table(self) -> dict[str, list[torch.Tensor]]:
        """The rows of all micro-batches as one: values added, counts (of the whole step) and chance levels averaged."""
        table: dict[str, list[torch.Tensor]] = {}
        for rows in self.rows:
            for name, (value, count, chance) in rows.items():
                row = [value, count / len(self.rows), chance / len(self.rows)]
                table[name] = [a + b for a, b in zip(table[name], row)] if name in table else row
        return table

    def _summed(self, statistics: Joined) -> tuple[dict[str, list[float]], float, list[tuple[str, str]], Told]:
        """Gradients and values over all processes, the gradient's norm, the statistics (objective, name) that are not
        finite, and what the balancer tells; the one fetch from the device of a step."""
        optimiser, scaler = self.of.optimiser, self.of.scaler
        distributed.sum_gradients(optimiser.parameters)
        table = self._table()
        values = torch.stack([torch.stack(row) for row in table.values()])
        if distributed.active():
            shares = values.clone()
            torch.distributed.all_reduce(shares)
            values[:, 0] = shares[:, 0]
            values[:, 2] = shares[:, 2] / distributed.joined().size  # counts are over all processes already
        more = self.balance.close(dict(zip(table, values[:, 0])), scaler)
        if scaler:
            scaler.unscale_(optimiser.torch)
        self.norm = optimiser.norm()
        finite = {(name, key): x.isfinite().all() for name, own in statistics.items() for key, x in own.items()}
        told = torch.cat([x.double()[None] for x in (*finite.values(), *more, self.norm)])
        numbers = torch.cat([values.flatten(), told]).tolist()
        flat, numbers = numbers[: values.numel()], numbers[values.numel() :]
        flags, *numbers, norm = numbers[: len(finite)], *numbers[len(finite) :]
        broken = [which for which, holds in zip(finite, flags) if not holds]
        rows = {name: flat[3 * i : 3 * i + 3] for i, name in enumerate(table)}
        return rows, norm, broken, self.balance.told(numbers)

    def _refuse_counts(self, rows: dict[str, list[float]]) -> None:
        """Stops where a count is no count: a sum would be divided by nothing in particular. The same everywhere."""
        for name, (_, count, _) in rows.items():
            if not 0 <= count < math.inf:
                whose, term = name.split("/", 1)
                code = type(self.system.objectives[whose]).forward.__code__
                raise PluginError(
                    f"objectives.{whose}: at step {self.step} the count of '{term}' is {count}",
                    RETURNS,
                    Place(code.co_filename, code.co_firstlineno),
                )

    def _move(self, norm: float, statistics: Joined) -> None:
        """Clips and moves the optimiser; under fp16 the scaler leaves out a step whose gradient overflowed, and
        nothing follows such a step."""
        optimiser, scaler = self.of.optimiser, self.of.scaler
        optimiser.clip(self.norm)
        if math.isfinite(norm):
            self.balance.learn()
        if scaler:
            scaler.step(optimiser.torch)
            scaler.update()
        else:
            optimiser.step()
        if not scaler or math.isfinite(norm):
            self.system.follow_step(self.step, statistics)
            self.balance.end()
