"""The loop: micro-batches forward and backward, gradients summed and checked, one step; nothing else."""

import math
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.objective import RETURNS
from vlobjectives.contracts.source import UnusableSample
from vlobjectives.data.loader import Layout, LoadedBatch
from vlobjectives.errors import NonFiniteError, Place, PluginError
from vlobjectives.runtime import distributed
from vlobjectives.system.losses import Losses, summed
from vlobjectives.system.step_statistics import Joined, Statistics, joined
from vlobjectives.system.system import System
from vlobjectives.training.balance import Balance, StepBalance, Told
from vlobjectives.training.optimizer import Optimizer

SHOWN = 16
"""So many sample keys stand in an error's message; log.txt has all."""


class Normalizer(Protocol):
    """Makes of what was loaded what encoders get; a recipe's TokenEncoding, or the Fields of one source."""

    def normalised(self, batch: Batch) -> Batch: ...


@dataclass
class Trainer:
    """A system with its optimiser, stepping through micro-batches. All of a step come from one source.

    scaler  of fp16; None otherwise
    """

    system: System
    optimiser: Optimizer
    fields: Normalizer
    layout: Layout
    device: torch.device
    scaler: torch.amp.GradScaler | None = None
    compared: Collection[int] = ()
    """Numbers of finished steps at which the objectives' gradients are compared."""
    clock: "Clock" = field(default_factory=lambda: Clock())
    bad: list[tuple[int, UnusableSample]] = field(default_factory=list)
    """Unusable samples that this process met since somebody emptied the list."""

    def __post_init__(self) -> None:
        self.balance = Balance(self.system, self.device, self.compared)

    def step(self, step: int, batches: Iterator[LoadedBatch]) -> dict[str, Any]:
        """One optimiser step; gives its metrics. Raises NonFiniteError before the optimiser moves.

        Where no objective has a weight the samples go by, nothing is computed and the optimiser does not move.
        """
        self.clock.begin()
        loaded = [next(batches) for _ in range(self.layout.micro_steps)]
        self.clock.waited()
        self.bad += [met for item in loaded for met in item.bad]
        rate = self.optimiser.set_rates(step)
        self.optimiser.zero()
        source = loaded[0].batch.source
        whose = {"source": source} if source else {}
        if not (live := self.system.live(step, source)):
            return (
                {"step": step, "loss": 0.0, "terms": {}, "gradient_norm": 0.0, "rate": rate}
                | whose
                | self.clock.end(self.layout.batch)
            )
        ready = ReadyBatches(loaded, self.fields, self.device)
        counts, balance = self._counts(ready, step, source), self.balance.begin(step, live)
        table: dict[str, list[torch.Tensor]] = {}
        weights: dict[str, float] = {}
        parts: list[Statistics] = []
        for m, batch in enumerate(ready):
            losses = balance.add(self.system(batch, step, m, len(ready), counts), self.scaler)
            total = losses.total
            with self.system.backward_blamed():
                (self.scaler.scale(total) if self.scaler else total).backward()
            parts.append(losses.statistics)
            for name, term in losses.terms.items():
                row = self._row(losses, name, len(ready))
                table[name] = [a + b for a, b in zip(table[name], row)] if name in table else row
                weights[name] = losses.weights[name.split("/")[0]] * term.weight
        statistics = joined(self.system.objectives, self.system.live(step, source), parts)
        rows, norm, broken, told = self._summed(table, statistics, balance)
        self._refuse_counts(step, rows)
        self._refuse_non_finite(step, rows, norm, ready, loaded, counts)
        self._refuse_statistics(step, broken)
        self._move(norm, statistics, balance)
        if balance.factors:
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
            "step": step,
            "loss": sum(weights[name] * value for name, (value, _, _) in rows.items()),
            "terms": terms,
            "gradient_norm": float(norm) if math.isfinite(norm) else None,
            "rate": rate,
        }
        return metrics | whose | told.metrics | self.clock.end(self.layout.batch)

    def _counts(self, ready: Sequence[Batch], step: int, source: str) -> dict[str, torch.Tensor]:
        """Counts of the whole step, before any pass, of the objectives that can tell; one micro-batch counts itself.

        Where none can, no micro-batch is brought to the device for it.
        """
        found: dict[str, torch.Tensor] = {}
        if len(ready) > 1 and self.system.counting(step, source):
            for m, batch in enumerate(ready):
                for name, count in self.system.counts(batch, step, m).items():
                    found[name] = found.get(name, 0) + count
        return summed(found)

    def _row(self, losses: Losses, name: str, micro_steps: int) -> list[torch.Tensor]:
        """A term's value, count and chance level, so that rows of all micro-batches add up."""
        chance = losses.terms[name].chance
        if not isinstance(chance, torch.Tensor):  # filled on the device: a copy from here would wait for it
            chance = torch.full((), math.nan if chance is None else chance, dtype=torch.float64, device=self.device)
        return [
            losses.value(name).detach().double(),
            losses.counts[name].double() / micro_steps,
            chance.detach().double() / micro_steps,
        ]

    def _summed(
        self, table: dict[str, list[torch.Tensor]], statistics: Joined, balance: StepBalance
    ) -> tuple[dict[str, list[float]], float, list[tuple[str, str]], Told]:
        """Gradients and values over all processes, the gradient's norm, the statistics (objective, name) that are not
        finite, and what the balancer tells; the one fetch from the device of a step."""
        distributed.sum_gradients(self.optimiser.parameters)
        values = torch.stack([torch.stack(row) for row in table.values()])
        if distributed.active():
            shares = values.clone()
            torch.distributed.all_reduce(shares)
            values[:, 0] = shares[:, 0]
            values[:, 2] = shares[:, 2] / self.layout.ranks  # counts are over all processes already
        more = balance.close(dict(zip(table, values[:, 0])), self.scaler)
        if self.scaler:
            self.scaler.unscale_(self.optimiser.torch)
        self.norm = self.optimiser.norm()
        finite = {(name, key): x.isfinite().all() for name, own in statistics.items() for key, x in own.items()}
        told = torch.cat([x.double()[None] for x in (*finite.values(), *more, self.norm)])
        numbers = torch.cat([values.flatten(), told]).tolist()
        flat, numbers = numbers[: values.numel()], numbers[values.numel() :]
        flags, *numbers, norm = numbers[: len(finite)], *numbers[len(finite) :]
        broken = [which for which, holds in zip(finite, flags) if not holds]
        rows = {name: flat[3 * i : 3 * i + 3] for i, name in enumerate(table)}
        return rows, norm, broken, balance.told(numbers)

    def _refuse_counts(self, step: int, rows: dict[str, list[float]]) -> None:
        """Stops where a count is no count: a sum would be divided by nothing in particular. The same everywhere."""
        for name, (_, count, _) in rows.items():
            if not 0 <= count < math.inf:
                whose, term = name.split("/", 1)
                code = type(self.system.objectives[whose]).forward.__code__
                raise PluginError(
                    f"objectives.{whose}: at step {step} the count of '{term}' is {count}",
                    RETURNS,
                    Place(code.co_filename, code.co_firstlineno),
                )

    def _refuse_statistics(self, step: int, broken: list[tuple[str, str]]) -> None:
        """Stops before a statistic that is not finite comes into a buffer. The same everywhere."""
        for name, key in broken:
            code = type(self.system.objectives[name]).forward.__code__
            raise NonFiniteError(
                f"objectives.{name}: step {step}: the statistic '{key}' for after_step went non-finite",
                "the optimiser has not moved; guard divisions and logarithms in forward",
                Place(code.co_filename, code.co_firstlineno),
            )

    def _move(self, norm: float, statistics: Joined, balance: StepBalance) -> None:
        """Clips and moves the optimiser; under fp16 the scaler leaves out a step whose gradient overflowed, and
        nothing follows such a step."""
        self.optimiser.clip(self.norm)
        if math.isfinite(norm):
            balance.learn()
        if self.scaler:
            self.scaler.step(self.optimiser.torch)
            self.scaler.update()
        else:
            self.optimiser.step()
        if not self.scaler or math.isfinite(norm):
            self.system.after_step(statistics)
            balance.end()

    def _refuse_non_finite(
        self,
        step: int,
        rows: dict[str, list[float]],
        norm: float,
        ready: Sequence[Batch],
        loaded: list[LoadedBatch],
        counts: dict[str, torch.Tensor],
    ) -> None:
        """Stops a step whose values or gradient are not finite, the same on every process.

        An fp16 gradient that overflows is the scaler's to skip, until its scale is down to 1; a loss never is.
        """
        bad = [name for name, row in rows.items() if not math.isfinite(row[0])]
        if not bad and (math.isfinite(norm) or (self.scaler and self.scaler.get_scale() > 1)):
            return
        live = self.system.live(step, loaded[0].batch.source)
        suspects = [name for name in live if not bad or any(x.startswith(f"{name}/") for x in bad)]
        found = {
            name: [m for m, batch in enumerate(ready) if self._broken(name, step, m, batch, len(ready), counts)]
            for name in suspects
        }
        own = [key for m, item in enumerate(loaded) if any(m in there for there in found.values()) for key in item.keys]
        told = distributed.all_of(
            (own, [key for item in loaded for key in item.keys], [name for name in suspects if found[name]])
        )
        keys = [key for process in told for key in process[0]] or [key for process in told for key in process[1]]
        names = dict.fromkeys(name for process in told for name in process[2])
        what = ", ".join(bad) or f"the gradient of {', '.join(names) or 'all objectives together'}"
        error = NonFiniteError(
            f"step {step}: {what} went non-finite; samples {', '.join(keys[:SHOWN])}"
            + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""),
            "the optimiser has not moved; look at these samples, lower optim.lr, set optim.clip, or "
            "use run.precision=fp32",
        )
        error.add_note(f"samples: {', '.join(keys)}")
        raise error

    def _broken(
        self, name: str, step: int, m: int, batch: Batch, micro_steps: int, counts: dict[str, torch.Tensor]
    ) -> bool:
        """Whether an objective alone is non-finite on a micro-batch, in a value or in the gradient."""
        self.optimiser.zero()
        losses = self.system(batch, step, m, micro_steps, counts, names=(name,))
        if losses.total.requires_grad:
            losses.total.backward()
        gradients = [p.grad for p in self.optimiser.parameters if p.grad is not None]
        return not all(bool(x.isfinite().all()) for x in (*gradients, *(losses.value(term) for term in losses.terms)))


@dataclass(frozen=True)
class ReadyBatches(Sequence[Batch]):
    """The micro-batches of a step as encoders get them, made one by one: a device holds one at a time."""

    loaded: list[LoadedBatch]
    fields: Normalizer
    device: torch.device

    def __len__(self) -> int:
        return len(self.loaded)

    def __getitem__(self, m: int) -> Batch:  # type: ignore[override]  # nobody takes a slice of batches on the device
        return self.fields.normalised(self.loaded[m].batch.to(self.device))


@dataclass
class Clock:
    """Seconds of a step, and the share of them spent waiting for data."""

    start: float = 0.0
    wait: float = 0.0

    def begin(self) -> None:
        self.start = time.perf_counter()

    def waited(self) -> None:
        self.wait = time.perf_counter() - self.start

    def end(self, samples: int) -> dict[str, float]:
        took = time.perf_counter() - self.start
        return {"seconds": took, "samples_per_second": samples / took, "waiting": self.wait / took}
