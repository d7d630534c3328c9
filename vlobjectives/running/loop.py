"""The loop: micro-batches forward and backward, gradients summed and checked, one step; nothing else."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.source import Bad
from vlobjectives.errors import NumbersError
from vlobjectives.running import distributed
from vlobjectives.running.fields import Fields
from vlobjectives.running.loader import Layout, Loaded
from vlobjectives.running.optimiser import Optimiser
from vlobjectives.running.system import Losses, System, summed


@dataclass
class Trainer:
    """A system with its optimiser, stepping through micro-batches.

    scaler  of fp16; None otherwise
    """

    system: System
    optimiser: Optimiser
    fields: Fields
    layout: Layout
    device: torch.device
    scaler: torch.amp.GradScaler | None = None
    on_bad: Callable[[tuple[tuple[int, Bad], ...]], None] = lambda bad: None
    clock: "Clock" = field(default_factory=lambda: Clock())

    def step(self, step: int, batches: Iterator[Loaded]) -> dict[str, Any]:
        """One optimiser step; gives its metrics. Raises NumbersError before the optimiser moves."""
        self.clock.begin()
        loaded = [self._fetch(batches) for _ in range(self.layout.micro_steps)]
        self.clock.waited()
        rate = self.optimiser.set_rates(step)
        self.optimiser.zero()
        ready = [self.fields.normalised(item.batch.to(self.device)) for item in loaded]
        counts = self._counts(ready, step)
        table: dict[str, list[torch.Tensor]] = {}
        for m, batch in enumerate(ready):
            losses = self.system(batch, step, m, len(ready), counts)
            total = losses.total
            (self.scaler.scale(total) if self.scaler else total).backward()
            for name, term in losses.terms.items():
                row = self._row(losses, name, len(ready))
                table[name] = [a + b for a, b in zip(table[name], row)] if name in table else row
        weights = {name: losses.weights[name.split("/")[0]] * term.weight for name, term in losses.terms.items()}
        metrics = self._finish(step, table, weights, loaded)
        metrics |= {"rate": rate} | self.clock.end(self.layout.batch)
        return metrics

    def _fetch(self, batches: Iterator[Loaded]) -> Loaded:
        loaded = next(batches)
        if loaded.bad:
            self.on_bad(loaded.bad)
        return loaded

    def _counts(self, ready: list[Batch], step: int) -> dict[str, torch.Tensor]:
        """Counts of the whole step, before any pass, of the objectives that can tell; one micro-batch counts itself."""
        found: dict[str, torch.Tensor] = {}
        if len(ready) > 1:
            for m, batch in enumerate(ready):
                for name, count in self.system.counts(batch, step, m).items():
                    found[name] = found.get(name, 0) + count
        return summed(found)

    def _row(self, losses: Losses, name: str, micro_steps: int) -> list[torch.Tensor]:
        """A term's value, count and chance level, so that rows of all micro-batches add up."""
        chance = losses.terms[name].chance
        chance = torch.as_tensor(math.nan if chance is None else chance, dtype=torch.float64, device=self.device)
        return [losses.value(name).detach().double(), losses.counts[name].double() / micro_steps,
                chance.detach() / micro_steps]

    def _finish(self, step: int, table: dict[str, list[torch.Tensor]], weights: dict[str, float],
                loaded: list[Loaded]) -> dict[str, Any]:
        """Sums over processes, checks, moves the optimiser; one fetch from the device a step."""
        distributed.sum_gradients(self.optimiser.parameters)
        if self.scaler:
            self.scaler.unscale_(self.optimiser.torch)
        norm = self.optimiser.norm()
        values = torch.stack([torch.stack(row) for row in table.values()])
        if distributed.active():
            own = values[:, 0].clone()
            torch.distributed.all_reduce(own)
            values[:, 0] = own
        rows, size = values.tolist(), norm.item()
        self._refuse_non_finite(step, dict(zip(table, rows)), size, loaded)
        self.optimiser.clip(norm)
        if self.scaler:
            self.scaler.step(self.optimiser.torch)
            self.scaler.update()
        else:
            self.optimiser.step()
        self.system.hold_bounds()
        terms = {name: {"value": value, "weight": weights[name], "weighted": weights[name] * value,
                        "chance": None if math.isnan(chance) else chance, "count": count}
                 for name, (value, count, chance) in zip(table, rows)}
        return {"step": step, "loss": sum(term["weighted"] for term in terms.values()), "terms": terms,
                "gradient_norm": size}

    def _refuse_non_finite(self, step: int, rows: dict[str, list[float]], norm: float, loaded: list[Loaded]) -> None:
        """fp16 steps with an overflowing gradient are the scaler's to skip; a non-finite loss never is."""
        bad = [name for name, row in rows.items() if not math.isfinite(row[0])]
        if not bad and (math.isfinite(norm) or self.scaler):
            return
        keys = [key for item in loaded for key in item.keys]
        what = f"{', '.join(bad)} went non-finite" if bad else "the gradient went non-finite"
        raise NumbersError(f"step {step}: {what}; samples {', '.join(keys[:8])}{' ...' if len(keys) > 8 else ''}",
                           "the optimiser has not moved; lower optim.lr, set optim.clip, or use run.precision=fp32")


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
