"""Held-out scores: the facade that evaluations work on, and the losses that every run reports."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Any

import torch

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.evaluation import Evaluation, Score
from vlobjectives.contracts.objective import RETURNS
from vlobjectives.contracts.parts import Spec
from vlobjectives.contracts.passes import Input
from vlobjectives.contracts.reader import Reader
from vlobjectives.contracts.source import Sample, Source, UnusableSample
from vlobjectives.contracts.values import MaskSample, Pairs, Term, widened
from vlobjectives.contracts.views import View
from vlobjectives.costs.out_of_memory import exhausted
from vlobjectives.data.collate import Fields
from vlobjectives.data.data_module import DataModule
from vlobjectives.data.loader import fetch, in_order
from vlobjectives.evaluation.failures import Scored, failure
from vlobjectives.evaluation.generation import captions
from vlobjectives.functional.statistics import mean_interval
from vlobjectives.planning import execute
from vlobjectives.planning.plan import of_views
from vlobjectives.plugin_loading.attribution import ContractError, given, work_of
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.runtime.log import Log, UnusableOfSplit
from vlobjectives.runtime.resources import out_of_memory
from vlobjectives.runtime.signals import StopRequest
from vlobjectives.system.input_specs import KnownSpecs
from vlobjectives.system.live_sources import lacking
from vlobjectives.system.system import System

SCORES = "{name: Score(value, chance, low, high, n)}"


@dataclass
class SplitContext:
    """A system on one split of a source; implements `contracts.evaluation.Held`.

    rows     of a batch: as in training, so that losses which compare rows mean the same
    workers  loader processes while batches are read one after the other; 0: none
    met      the bad samples met so far, by number; others stand in their place
    """

    system: System
    source: Source
    fields: Fields
    split: str
    seed: int
    rows: int
    device: torch.device
    workers: int = 0
    met: dict[int, UnusableSample] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The split as scores name it, after its source where there are several."""
        return f"{self.fields.source}.{self.split}" if self.fields.source else self.split

    @property
    def inputs(self) -> Mapping[str, Input]:
        """Inputs without their own masks: those belong to training and to the losses."""
        return self.system.bare

    @property
    def readers(self) -> Mapping[str, Reader]:
        return self.fields.readers

    def size(self) -> int:
        return self.source.size(self.split)

    def sample(self, number: int) -> Sample:
        sample, bad = fetch(self.source, self.split, number, 0, self.seed, self.size(), self.fields.source)
        self.met.update(bad)
        return sample

    def batch(self, samples: Sequence[Sample], numbers: Sequence[int]) -> Batch:
        return self._there(self.fields.batch(samples, numbers))

    def batches(self) -> Iterator[Batch]:
        for batch in in_order(
            self.source,
            self.fields,
            self.split,
            self.size(),
            self.rows,
            self.seed,
            self.workers,
            torch.device(self.device).type == "cuda",
            self.met,
        ):
            yield self._there(batch)

    def values(
        self,
        views: Mapping[str, View],
        batch: Batch,
        draws: Mapping[str, MaskSample] | None = None,
        pairs: Mapping[str, Pairs] | None = None,
    ) -> dict[str, Any]:
        stage = self._stage()
        stage.draws, stage.pairs = dict(draws or {}), dict(pairs or {})
        with torch.no_grad(), self.system.autocasting():
            values = execute.run(of_views(self.system, views, "evaluation"), stage, batch)
        return {name: widened(execute.read(view, values)) for name, view in views.items()}

    def losses(self, batch: Batch) -> Mapping[str, Term]:
        with torch.no_grad():
            return self.system(batch, 0, names=tuple(self.system.weights(batch.source)), stage=self._stage()).terms

    def written(self, name: str, batch: Batch, beams: int = 1) -> list[str]:
        return captions(self.system, self.fields, name, batch, beams, self._stage())

    def objective(self, name: str) -> Any:
        return self.system.objectives[name]

    def spec(self, input: str) -> Spec:
        return KnownSpecs(self.system.model, self.fields).spec(self.inputs[input].part, input)

    def part(self, name: str) -> "CallablePart":
        return CallablePart(self.system.model[name], self.system, name)

    def _stage(self) -> execute.ExecutionContext:
        return self.system.stage(f"held out: {self.split}")

    def _there(self, batch: Batch) -> Batch:
        return self.fields.normalised(batch.to(self.device))


@dataclass
class CallablePart:
    """A part that an evaluation calls by itself: in the precision of passes, its floats given back in float32."""

    part: torch.nn.Module
    system: System
    name: str

    def __call__(self, *inputs: Any) -> Any:
        with self.system.autocasting(), work_of(("model", self.name), "the pass", self.part):
            value = self.part(*inputs)
        return value.float() if isinstance(value, torch.Tensor) else widened(value)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.part, name)


def losses(held: SplitContext) -> dict[str, Score]:
    """`objective/term` -> its mean over held-out samples, the interval over full batches."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for batch in held.batches():
        if batch.size == held.rows or held.size() < held.rows:
            for name, term in held.losses(batch).items():
                chance = float("nan") if term.chance is None else float(term.chance)
                found.setdefault(name, []).append((float(term.total), _counted(held, name, term), chance))
    scores = {}
    for name, rows in found.items():
        rows = [row for row in rows if row[1] > 0]
        if not rows:
            continue
        count = sum(row[1] for row in rows)
        chance = sum(row[2] * row[1] for row in rows) / count
        _, low, high = mean_interval(total / n for total, n, _ in rows)
        value = sum(row[0] for row in rows) / count
        scores[name] = Score(value, None if chance != chance else chance, low, high, int(count), per_cent=False)
    return scores


def _counted(held: SplitContext, name: str, term: Term) -> float:
    """A term's count. Raises ContractError where it is none, as a training step does."""
    count = float(term.count)
    if not 0 <= count < inf:
        raise ContractError(f"the count of '{name}' is {count}", RETURNS, held.objective(name.split("/")[0]).forward)
    return count


def evaluate(
    held: SplitContext,
    evaluations: Mapping[str, Evaluation],
    with_losses: bool,
    begun: Callable[[str], None],
    explained: Callable[[Exception, str], Exception],
) -> Scored:
    """All scores of one split as `evaluation/split/name` (of a mix `evaluation/source.split/name`). Modules are put
    into eval mode and back. One that fails costs no other its scores.

    explained  what an error means, if not that the plug-in is wrong
    """
    was, found = held.system.training, Scored()
    work: dict[str, Callable[[Any], Mapping[str, Score]]] = {name: one.run for name, one in evaluations.items()}
    if with_losses:
        work["losses"] = losses
    try:
        for name, run in work.items():
            what = f"{name} on {held.name}"
            begun(what)
            held.system.eval()  # also after one that broke off
            try:
                with torch.no_grad():
                    scores = {
                        f"{name}/{held.name}/{key}": _sound(score)
                        for key, score in given(run(held), Mapping, run, SCORES).items()
                    }
                found.scores.update(scores)
            except (StopRequest, KeyboardInterrupt):
                raise
            except BaseException as error:  # a third party's code, and sys.exit in it
                found.failed[what] = failure(error, name, what, evaluations.get(name), explained)
    finally:
        held.system.train(was)
    return found


def _sound(score: Any) -> Score:
    """A score of plain numbers. Raises TypeError for what is none."""
    if not isinstance(score, Score):
        raise TypeError(f"an evaluation gives a Score for each name, not {type(score).__name__}")
    chance = None if score.chance is None else float(score.chance)
    return Score(float(score.value), chance, float(score.low), float(score.high), int(score.n), bool(score.per_cent))


def scored(
    resolved: Resolved,
    made: DataModule,
    system: Any,
    splits: tuple[str, ...] | None,
    log: Log,
) -> Scored:
    """All scores of a recipe's evaluations on these splits (None: those that the recipe says, else the held-out ones).

    A batch has the rows that losses see together in training, so that those which compare rows mean the same.
    """
    recipe, found, todo = resolved.recipe, Scored(), []
    for name, feed in made.feeds.items():
        chosen = evaluations(resolved, name, feed.source.has, partial(lacking, system, made, source=name))
        for split in splits or recipe.evaluate.splits or held_out(feed.source):
            if feed.source.size(split):  # of a mix one source may have a split that another lacks
                held = SplitContext(
                    system,
                    feed.source,
                    feed.fields,
                    split,
                    recipe.seed,
                    resolved.together,
                    resolved.device,
                    recipe.data.workers,
                )
                todo.append((held, chosen))

    def explained(error: Exception, what: str) -> Exception:
        if not out_of_memory(error):
            return error
        return exhausted(
            error,
            f"memory ran out in {what}",
            "leave out what needs it (evaluate.NAME=false, "
            "evaluate.losses=false), or evaluate elsewhere: run.device=cpu",
            resolved,
            tuple(recipe.objectives),
            made=made,
        )

    total = sum(len(chosen) + recipe.evaluate.losses for _, chosen in todo)
    with log.progress(total, what="evaluating") as bar:
        begun = iter(range(total))
        for held, chosen in todo:
            one = evaluate(held, chosen, recipe.evaluate.losses, lambda what: bar.to(next(begun), what), explained)
            found.scores.update(one.scores)
            found.failed.update(one.failed)
            if held.met:
                bad = held.met[min(held.met)]
                lost = UnusableOfSplit(held.size(), len(held.met), f"{bad.key}: {bad.reason}")
                found.unusable[held.name] = lost
                log.say(
                    f"{lost.unusable} of {lost.samples} samples of {held.name} cannot be used, and others stand in "
                    f"their place in its scores; the first: {lost.first}"
                )
    return found


def evaluations(
    resolved: Resolved, source: str, has: Collection[str], lacks: Callable[[Evaluation], Any] = lambda _: None
) -> dict[str, Any]:
    """Evaluations of a source: those that name it, or name none, need what it `has`, read none it `lacks`."""
    made = {}
    for name, one in resolved.of("evaluation").items():
        whole, sources = one.cls(one.config), one.sources
        if source in sources if sources is not None else whole.needs <= set(has) and not lacks(whole):
            made[name] = whole
    return made


def held_out(source: Any) -> tuple[str, ...]:
    """The splits that final scores are of: all but train and val, or val if there is nothing else."""
    there = [split for split in source.splits() if split != "train" and source.size(split)]
    return tuple(split for split in there if split != "val") or tuple(there)
