"""The loop: micro-batches forward and backward, gradients summed and checked, one step; nothing else."""

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.source import UnusableSample
from vlobjectives.data.loader import Layout, LoadedBatch
from vlobjectives.errors import NonFiniteError
from vlobjectives.runtime import distributed
from vlobjectives.system.losses import summed
from vlobjectives.system.system import System
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.update import Updater

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
        self.updater = Updater(self.system, self.optimiser, self.device, self.scaler, self.compared)

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
        counts, update = self._counts(ready, step, source), self.updater.begin(step, live)
        for m, batch in enumerate(ready):
            update.backward(self.system(batch, step, m, len(ready), counts))
        metrics = update.finish(partial(self._refuse_non_finite, step, ready, loaded, counts))
        return metrics | {"rate": rate} | whose | self.clock.end(self.layout.batch)

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

    def _refuse_non_finite(
        self,
        step: int,
        ready: Sequence[Batch],
        loaded: list[LoadedBatch],
        counts: dict[str, torch.Tensor],
        bad: Sequence[str],
    ) -> None:
        """Stops a step whose values (of the terms `bad`) or gradient are not finite, the same on every process."""
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
