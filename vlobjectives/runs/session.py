"""A run that is under way: trains, saves, restores, evaluates, records."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from vlobjectives.contracts.hooks import Run
from vlobjectives.data.bad_samples import BadSamples
from vlobjectives.data.data_module import DataModule
from vlobjectives.data.loader import micro_batches
from vlobjectives.data.streams import training
from vlobjectives.errors import DataError, Place, Problem
from vlobjectives.evaluation import context
from vlobjectives.evaluation.failures import Scored
from vlobjectives.files import json_text
from vlobjectives.plugin_loading.attribution import blamed, work_of
from vlobjectives.plugin_loading.load import reason_of
from vlobjectives.plugin_loading.side_effects import contained
from vlobjectives.recipe.dump import as_data
from vlobjectives.recipe.model import Recipe
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.run_folder import RunFolder
from vlobjectives.runtime import distributed
from vlobjectives.runtime.log import Log
from vlobjectives.runtime.resources import peak_memory
from vlobjectives.runtime.signals import Signals, StopRequest
from vlobjectives.system import checkpoint
from vlobjectives.system.system import System
from vlobjectives.training import schedule
from vlobjectives.training.trainer import Trainer


@dataclass
class Session:
    """Everything that a run works with, ready to train from `done` steps on; `saved` of them lie in a checkpoint."""

    resolved: Resolved
    place: RunFolder
    data_module: DataModule
    trainer: Trainer
    log: Log
    bad: BadSamples
    signals: Signals
    done: int = 0
    saved: int = 0
    failed: dict[str, tuple[Problem, int]] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        return self.resolved.recipe

    @property
    def registry(self) -> Registry:
        return self.resolved.registry

    @property
    def world(self) -> distributed.World:
        return self.resolved.world

    @property
    def precision(self) -> str:
        return self.resolved.precision

    @property
    def system(self) -> System:
        return self.trainer.system

    @cached_property
    def shown(self) -> Run:
        """The run as hooks see it."""
        return Run(
            self.place.path,
            self.recipe.run.name or self.place.path.name,
            as_data(self.recipe),
            self.recipe.run.steps,
            self.done,
            str(self.resolved.device),
            self.precision,
            self.world.rank,
            self.world.size,
            self.log.say,
        )

    def watched(self) -> None:
        """Makes the recipe's trackers, in the first process, and tells all that watch that the run starts."""

        def make() -> None:
            for name, one in self.resolved.of("tracker").items():
                try:
                    with work_of(path := ("trackers", name), "the tracker", one.cls), contained(".".join(path)):
                        self.registry.watch(one.cls(one.config), name)
                except Exception as error:
                    raise blamed(error) or error from None  # what all processes are told

        distributed.first_does(self.world, make)
        self.tell("vlobj_run_started")

    def tell(self, hook: str, **arguments: Any) -> None:
        """Calls a hook of all that watch the run."""
        self.registry.call_safely(hook, run=self.shown, **arguments)

    def train(self) -> None:
        """Steps to the end; saves as the recipe says, at the end, and when a signal asks to stop. Raises StopRequest
        then."""
        recipe, steps = self.recipe, self.recipe.run.steps
        data = training(self.data_module.feeds, self.trainer.layout, recipe.seed)
        each = self.trainer.layout.micro_steps
        batches = micro_batches(
            data, self.done * each, steps * each, recipe.data.workers, self.trainer.device.type == "cuda"
        )
        self.system.train()
        saves, looks = schedule.every(recipe.run.checkpoint, steps), schedule.every(recipe.evaluate.every, steps)
        with self.signals.later(), self.log.progress(steps, self.done) as bar:
            for step in range(self.done, steps):
                metrics = self.trainer.step(step, batches)
                stop, bad = distributed.highest(self.signals.seen or 0, len(self.trainer.bad))
                if bad:
                    self._count_bad()  # too many end the run, and the step is none
                self.done = step + 1
                self._record(metrics)
                bar.to(self.done, f"loss {metrics['loss']:.3f}  {metrics['samples_per_second']:.0f} samples/s")
                if stop or self.done == steps or self.done in saves:
                    self.save()
                if stop:
                    self.signals.seen = stop  # also where another process got it
                    raise StopRequest
                if self.done in looks and self.done < steps:
                    self._look()

    def save(self) -> None:
        """A checkpoint of the first `done` steps, by the first process."""
        self.saved = self.done
        if self.world.first:
            scaler = self.trainer.scaler
            saved = checkpoint.save(
                self.place.checkpoints,
                self.done,
                self.system,
                {
                    "step": self.done,
                    "optimiser": self.trainer.optimiser.state(),
                    "scaler": scaler.state_dict() if scaler else None,
                    "bad": sorted(self.bad.numbers),
                },
                self.recipe.run.checkpoint.keep,
            )
            self.tell("vlobj_checkpoint_saved", folder=saved.folder)

    def restore(self, found: checkpoint.Checkpoint | None) -> None:
        """Goes on from a checkpoint, from nothing without one; what lies after it is cut off."""
        if found:
            checkpoint.load_weights(self.system, found.folder)
            state = checkpoint.load_state(found.folder)
            try:
                self.trainer.optimiser.load(state["optimiser"])
                if self.trainer.scaler and state["scaler"]:
                    self.trainer.scaler.load_state_dict(state["scaler"])
                self.bad.numbers |= set(state["bad"])
                if state["step"] != found.step:
                    raise ValueError(f"it is of step {state['step']}")
            except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
                raise DataError(
                    f"it is no state of this run: {reason_of(error)}",
                    checkpoint.OTHERS,
                    Place(str(found.folder / checkpoint.STATE)),
                ) from error
            self.done = self.saved = found.step
        if self.world.first:
            if lost := self.place.cut_metrics(self.done):
                self.log.say(f"metrics.jsonl was damaged: {lost} of its lines could not be read and are left out")
            checkpoint.set_aside(self.place.checkpoints, self.done)

    def evaluate(self, splits: tuple[str, ...] | None = None) -> Scored:
        """All scores of the recipe's evaluations, computed by the first process; those that fail are kept in `failed`,
        and the run goes on."""
        found = Scored()
        if self.world.first:
            with distributed.alone():
                found = context.scored(self.resolved, self.data_module, self.system, splits, self.log)
            for what in found.reasons.values():
                self.log.say(f"step {self.done}: {what}; the others go on")
            self.failed |= found.failed
            self.place.write(f"eval/step-{self.done:06d}.json", found.as_data())
            self.tell("vlobj_evaluated", step=self.done, scores=found.scores)
        distributed.wait()
        return found

    def _look(self) -> None:
        """An evaluation on the way. The steps so far are saved first, whatever it does; a signal ends it at once."""
        if self.saved < self.done:
            self.save()
        with self.signals.at_once():
            self.evaluate(("val",) if "val" in self.data_module.splits() else None)

    def _count_bad(self) -> None:
        """Unusable samples that any process met, counted by all of them alike."""
        met = [one for process in distributed.all_of(self.trainer.bad) for one in process]
        self.trainer.bad = []
        self.bad.add(met)

    def _record(self, metrics: dict[str, Any]) -> None:
        if not self.world.first:
            return
        metrics["memory"] = peak_memory(self.trainer.device)
        due = metrics["step"] % self.recipe.run.log.steps == 0 or "conflict" in metrics
        if due or self.done == self.recipe.run.steps:
            with self.place.metrics.open("a", encoding="utf-8") as file:
                file.write(json_text(metrics, indent=None) + "\n")
            self.tell("vlobj_step_ended", step=metrics["step"], metrics=metrics)
