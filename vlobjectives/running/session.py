"""A run from its recipe to its last score: prepare, go on or start, train, save, evaluate."""

import json
import signal
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from vlobjectives.contracts.source import Bad
from vlobjectives.errors import DataError, Interrupted, Stopped
from vlobjectives.recipe import Loaded, dump
from vlobjectives.recipe.times import in_steps
from vlobjectives.registry import Registry
from vlobjectives.running import assemble, checkpoint, distributed, evaluating, folder
from vlobjectives.running.folder import RunFolder
from vlobjectives.running.loader import Layout, MicroBatches, micro_batches
from vlobjectives.running.log import Log
from vlobjectives.running.loop import Trainer
from vlobjectives.running.means import KINDS, device_of, precision_of
from vlobjectives.running.optimiser import Optimiser


@dataclass
class Session:
    """Everything that a run works with, ready to train from `done` steps on."""

    recipe: Any
    registry: Registry
    place: RunFolder
    pieces: assemble.Pieces
    trainer: Trainer
    world: distributed.World
    log: Log
    precision: str
    done: int = 0

    @property
    def system(self):
        return self.trainer.system

    def train(self) -> None:
        """Steps to the end; saves as the recipe says, at the end, and when a signal asks to stop."""
        recipe, steps = self.recipe, self.recipe.run.steps
        data = MicroBatches(self.pieces.source, self.pieces.fields, "train", self.trainer.layout, recipe.seed)
        each = self.trainer.layout.micro_steps
        batches = micro_batches(data, self.done * each, steps * each, recipe.data.workers,
                                self.trainer.device.type == "cuda")
        self.system.train()
        saves, looks = every(recipe.run.checkpoint, steps), every(recipe.evaluate.every, steps)
        with Signals() as signals, self.log.progress(steps, self.done) as bar:
            for step in range(self.done, steps):
                metrics = self.trainer.step(step, batches)
                self.done = step + 1
                self._record(metrics)
                bar.to(self.done, f"loss {metrics['loss']:.3f}  {metrics['samples_per_second']:.0f} samples/s")
                stop = distributed.any_of(signals.seen is not None)
                if stop or self.done == steps or self.done in saves:
                    self.save()
                if stop and self.done < steps:
                    raise self._stopped(signals.seen)
                if self.done in looks and self.done < steps:
                    self.evaluate(("val",) if "val" in self.pieces.source.splits() else None)

    def save(self) -> None:
        """A checkpoint of the first `done` steps, by the first process."""
        if self.world.first:
            scaler = self.trainer.scaler
            saved = checkpoint.save(self.place.checkpoints, self.done, self.system, {
                "step": self.done, "optimiser": self.trainer.optimiser.state(),
                "scaler": scaler.state_dict() if scaler else None, "bad": sorted(self.bad.numbers)},
                self.recipe.run.checkpoint.keep)
            self.registry.call_safely("vlobj_checkpoint_saved", run=self, folder=saved.folder)

    def restore(self, found: checkpoint.Checkpoint) -> None:
        """Goes on from a checkpoint."""
        checkpoint.load_weights(self.system, found.folder)
        state = checkpoint.load_state(found.folder)
        self.trainer.optimiser.load(state["optimiser"])
        if self.trainer.scaler and state["scaler"]:
            self.trainer.scaler.load_state_dict(state["scaler"])
        self.bad.numbers |= set(state["bad"])
        self.done = state["step"]
        if self.world.first:
            self.place.cut_metrics(self.done)

    def evaluate(self, splits: tuple[str, ...] | None = None) -> dict[str, Any]:
        """All scores of the recipe's evaluations, computed by the first process."""
        scores: dict[str, Any] = {}
        if self.world.first:
            splits = splits or self.recipe.evaluate.splits or held_out(self.pieces.source)
            chosen = evaluations(self.recipe, self.registry)
            total = len(splits) * (len(chosen) + self.recipe.evaluate.losses)
            with self.log.progress(total, what="evaluating") as bar:
                begun = iter(range(total))
                for split in splits:
                    held = evaluating.HeldOut(self.system, self.pieces.source, self.pieces.fields, split,
                                              self.recipe.seed, self.trainer.layout.micro, self.trainer.device)
                    scores |= evaluating.evaluate(held, chosen, self.recipe.evaluate.losses,
                                                  lambda what: bar.to(next(begun), what))
            self.place.write(f"eval/step-{self.done:06d}.json", folder.scores_as_data(scores))
            self.registry.call_safely("vlobj_evaluated", run=self, step=self.done, scores=scores)
        distributed.wait()
        return scores

    @property
    def bad(self) -> "BadSamples":
        return self.trainer.on_bad

    def _record(self, metrics: dict[str, Any]) -> None:
        if not self.world.first:
            return
        metrics["memory"] = peak_memory(self.trainer.device)
        if metrics["step"] % self.recipe.run.log.steps == 0 or self.done == self.recipe.run.steps:
            with self.place.metrics.open("a") as file:
                file.write(json.dumps(metrics) + "\n")
            self.registry.call_safely("vlobj_step_ended", run=self, step=metrics["step"], metrics=metrics)

    def _stopped(self, number: int | None) -> Exception:
        kind, word = (Interrupted, "Ctrl-C") if number == signal.SIGINT else (Stopped, "a signal")
        return kind(f"stopped by {word} after step {self.done} of {self.recipe.run.steps}; saved",
                    f"`vlobj run {self.place.path}` goes on")


@dataclass
class BadSamples:
    """Counts unusable samples, names each once in the log, and stops a run that has too many."""

    most: float
    size: int
    log: Log

    def __post_init__(self) -> None:
        self.numbers: set[int] = set()
        self.first: list[str] = []

    def __call__(self, met: tuple[tuple[int, Bad], ...]) -> None:
        for number, bad in met:
            if number in self.numbers:
                continue
            self.numbers.add(number)
            self.first = [*self.first, f"{bad.key}: {bad.reason}"][:5]
            self.log.say(f"sample skipped: {bad.key}: {bad.reason}")
        if len(self.numbers) > self.most * self.size:
            raise DataError(f"{len(self.numbers)} of {self.size} samples cannot be used, more than data.max_bad allows "
                            f"({self.most:g}); the first: " + "; ".join(self.first),
                            "mend the files, or raise data.max_bad")


class Signals(AbstractContextManager):
    """Remembers SIGTERM and the first Ctrl-C, so that the step in hand ends and is saved; a second Ctrl-C kills."""

    seen: int | None = None

    def __enter__(self) -> "Signals":
        self.old = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.old.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.seen == signal.SIGINT:
            raise KeyboardInterrupt
        self.seen = number


def prepare(loaded: Loaded, registry: Registry, place: RunFolder, log: Log, world: distributed.World,
            device: torch.device) -> Session:
    """Everything that a run needs, from a recipe that was checked. Readers are fitted unless the folder has them."""
    recipe = loaded.recipe
    made = assemble.pieces(recipe, registry)
    if world.first and not place.fields.is_dir():
        fit(made, recipe.seed, log)
        made.fields.save(place.fields)
    distributed.wait()
    made.fields.load(place.fields)
    system = assemble.system(recipe, registry, made, world.size)
    for line in assemble.load_weights(system):
        log.say(line)
    system.to(device)
    precision, why = precision_of(recipe.run.precision, device)
    if precision in KINDS:
        system.autocast = (device.type, KINDS[precision])
    if recipe.run.compile == "parts":
        for part in system.model.values():
            part.compile()
    log.say(f"device {device}, {world.size} process{'es' * (world.size > 1)}, precision {precision} ({why}); "
            f"{assemble.trainable(system):,} parameters")
    layout = Layout(recipe.data.batch, recipe.data.micro_batch or recipe.data.batch // world.size, world.size, world.rank)
    trainer = Trainer(system, Optimiser(system, recipe.optim, recipe.run.steps), made.fields, layout, device,
                      torch.amp.GradScaler(device.type) if precision == "fp16" else None,
                      BadSamples(recipe.data.max_bad, made.source.size("train"), log))
    return Session(recipe, registry, place, made, trainer, world, log, precision)


def fit(made: assemble.Pieces, seed: int, log: Log) -> None:
    """Lets readers learn from the training split, in order of number."""
    source = made.source
    size = source.size("train")

    def rows(column: str):
        with log.progress(size, what=f"reading {column}") as bar:
            for number in range(size):
                sample = source.sample("train", number, made.source.settled_epoch, seed)
                if not isinstance(sample, Bad):
                    yield sample.values[column]
                if number % 256 == 0:
                    bar.to(number)
    made.fields.fit(rows)


def run(loaded: Loaded, registry: Registry, place: Path, log: Log, going_on: bool) -> Mapping[str, Any]:
    """Trains a recipe in a run folder, from its newest checkpoint if it goes on; gives summary.json's content."""
    recipe, begun = loaded.recipe, time.monotonic()
    world = distributed.join(recipe.run.device)
    device = device_of(recipe.run.device, world.local_rank)
    log.first = world.first
    if world.first and not going_on:
        RunFolder.create(place)
        (place / "recipe.yaml").write_text(dump(recipe))
    distributed.wait()
    log.path = place / "log.txt"
    session = prepare(loaded, registry, RunFolder(place), log, world, device)
    if going_on:
        found, broken = checkpoint.newest(session.place.checkpoints)
        for line in broken:
            log.say(line)
        if found:
            session.restore(found)
            log.say(f"going on after step {session.done}")
    if world.first and not going_on:
        session.place.write("manifest.json", folder.manifest(
            used_plugins(recipe, registry), session.pieces.source.digest(), str(device), {}))
    registry.call_safely("vlobj_run_started", run=session)
    session.train()
    trained = time.monotonic() - begun
    scores = session.evaluate()
    summary = {}
    if world.first:
        summary = folder.scores_as_data(scores)
        session.place.write("summary.json", summary)
        log.scores(scores, f"{recipe.run.name or 'run'}, step {session.done}: value [95 % interval]")
        log.say(f"training {trained:.0f} s, everything {time.monotonic() - begun:.0f} s; {place}")
        registry.call_safely("vlobj_run_ended", run=session, summary=summary)
    return summary


def used_plugins(recipe: Any, registry: Registry) -> list[dict[str, str]]:
    """The plug-ins that a recipe names, with the distributions that brought them."""
    named = {("source", recipe.data.type)}
    for kind, entries in (("reader", recipe.fields), ("part", recipe.model), ("mask", recipe.masks),
                          ("pairing", recipe.pairings), ("objective", recipe.objectives),
                          ("evaluation", recipe.evaluate.entries)):
        named |= {(kind, entry.type) for entry in entries.values()}
    found = [registry.component(kind, name) for kind, name in sorted(named)]
    return [{"kind": one.kind, "name": one.full, "package": one.package, "version": one.version} for one in found]


def evaluations(recipe: Any, registry: Registry) -> dict[str, Any]:
    """The evaluations that a recipe switches on."""
    made = {}
    for name, entry in recipe.evaluate.entries.items():
        cls = registry.get("evaluation", entry.type)
        made[name] = cls(assemble.config_of(cls, entry.options))
    return made


def held_out(source: Any) -> tuple[str, ...]:
    """The splits that final scores are of: all but train and val, or val if there is nothing else."""
    there = [split for split in source.splits() if split != "train" and source.size(split)]
    return tuple(split for split in there if split != "val") or tuple(there)


def every(when: Any, steps: int) -> set[int]:
    """The steps at which something is due."""
    if when is None or (when.steps is None and when.share is None):
        return set()
    gap = when.steps or max(1, in_steps(float(when.share), steps))
    return set(range(gap, steps + 1, gap))


def peak_memory(device: torch.device) -> int:
    """Bytes: the device's peak, on the CPU this process's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
