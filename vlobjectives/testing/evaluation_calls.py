"""An evaluation as its checks call it: on an untrained system of the toy, which knows nothing, and on changed data."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, cast

import torch

from vlobjectives.contracts import roles
from vlobjectives.contracts.evaluation import Evaluation, Score
from vlobjectives.contracts.naming import needs
from vlobjectives.contracts.source import Sample, Source, UnusableSample
from vlobjectives.contracts.views import View
from vlobjectives.data.data_module import DataModule
from vlobjectives.evaluation.context import SplitContext, held_out
from vlobjectives.system import assemble
from vlobjectives.testing.check import CheckFailed
from vlobjectives.testing.reader_calls import fitted
from vlobjectives.testing.toys import Toy

COLLECTIVES = (
    "all_reduce",
    "all_gather",
    "all_gather_into_tensor",
    "all_gather_object",
    "gather",
    "reduce",
    "broadcast",
    "barrier",
)


@dataclass
class Stage:
    """A toy's data and system, made once for several calls of an evaluation."""

    toy: Toy
    name: str
    made: DataModule
    source: Any

    @classmethod
    def of(cls, toy: Toy, name: str) -> "Stage":
        """The same one for all checks of an entry, since its data takes most of the time."""
        return _stage(toy, name)

    @property
    def evaluation(self) -> Evaluation:
        one = self.toy.resolved.of("evaluation")[self.name]
        return cast(Evaluation, one.cls(one.config))

    @property
    def split(self) -> str:
        """The split that is evaluated: the first that is held out."""
        return next(iter(held_out(self.made.source)), "train")

    def context(self, source: Any = None, seed: int = 0) -> "RecordingContext":
        """The evaluation context of an untrained system with first weights of this seed."""
        resolved = self.toy.changed(seed=self.toy.seed + seed).resolved
        system = assemble.system(resolved, self.made).eval()
        return RecordingContext(
            system,
            source or self.source,
            self.made.fields,
            self.split,
            self.toy.seed,
            self.toy.rows,
            torch.device("cpu"),
        )


@lru_cache(maxsize=1)
def _stage(toy: Toy, name: str) -> Stage:
    one = toy.resolved.of("evaluation")[name]
    made = fitted(toy)
    if lacking := [each for each in one.config.named("objective").values() if each not in toy.recipe.objectives]:
        raise CheckFailed(
            f"there is no objective '{lacking[0]}' in this Toy", f"Toy(objectives={{'{lacking[0]}': {{...}}}}, ...)"
        )
    if lacking := sorted(cast(Evaluation, one.cls(one.config)).needs - made.source.has):
        raise CheckFailed(
            f"it needs {', '.join(lacking)}, which the source of this Toy does not have",
            "give a Toy with one that has: Toy(data={'type': ...}, fields={'caption': ...}, ...)",
            cause="needs_declared",
        )
    return Stage(toy, name, made, Kept(made.source))


@dataclass
class RecordingContext(SplitContext):
    """An evaluation context that keeps the views that it was asked for."""

    asked: list[View] = field(default_factory=list)

    def values(self, views: Mapping[str, View], *given: Any, **more: Any) -> dict[str, Any]:
        self.asked += [view for view in views.values() if view not in self.asked]
        return super().values(views, *given, **more)


def run(evaluation: Evaluation, held: SplitContext) -> dict[str, Score]:
    """The scores of an evaluation, as the host runs it. Raises CheckFailed for what are none."""
    held.system.eval()
    with torch.no_grad():
        found = evaluation.run(held)
    if not isinstance(found, Mapping):
        raise CheckFailed(f"`run` gives a {type(found).__name__}", "return {name: Score(value, chance, low, high, n)}")
    for name, score in found.items():
        if not isinstance(name, str) or not isinstance(score, Score):
            raise CheckFailed(f"`run` gives {name!r}: a {type(score).__name__}", "return Scores by name")
    return dict(found)


@dataclass
class ChangedSource:
    """A source with something changed; all else is the source's own."""

    source: Source

    def __getattr__(self, name: str) -> Any:
        return getattr(self.source, name)


@dataclass
class Kept(ChangedSource):
    """A source that draws each sample once."""

    kept: dict[tuple[str, int, int, int], Sample | UnusableSample] = field(default_factory=dict)

    def sample(self, *asked: Any) -> Sample | UnusableSample:
        if asked not in self.kept:
            self.kept[asked] = self.source.sample(*asked)
        return self.kept[asked]


@dataclass
class Shuffled(ChangedSource):
    """Pictures (what the first input reads) that belong to another sample: nobody can know which caption is whose."""

    columns: tuple[str, ...] = ()
    shift: int = 1

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample | UnusableSample:
        size = self.source.size(split)
        own = self.source.sample(split, number, epoch, seed)
        other = self.source.sample(split, (number + self.shift) % size, epoch, seed)
        if not isinstance(own, Sample) or not isinstance(other, Sample):
            return own
        return replace(own, values={**own.values, **{column: other.values[column] for column in self.columns}})

    def twins(self, split: str, kind: str, count: int) -> list[Any]:
        """Every second pair has the two pictures exchanged."""
        pairs = self.source.twins(split, kind, count)
        return [self._exchanged(pair) if number % 2 else pair for number, pair in enumerate(pairs)]

    def _exchanged(self, pair: Any) -> Any:
        left, right = (
            replace(side, values={**side.values, **{key: other.values[key] for key in self.columns}})
            for side, other in ((pair.left, pair.right), (pair.right, pair.left))
        )
        return replace(pair, left=left, right=right)


@dataclass
class Window(ChangedSource):
    """Samples of a split from a first one on, as if they were all; contrast pairs likewise.

    split       that is looked at in parts; others are whole
    number, of  the how manieth of how many windows
    count       samples of each
    pairs       the contrast pairs of all windows, which they share
    """

    split: str = ""
    number: int = 0
    of: int = 1
    count: int = 0
    pairs: dict[tuple[str, str], list[Any]] = field(default_factory=dict)

    def twins(self, split: str, kind: str, count: int) -> list[Any]:
        if (split, kind) not in self.pairs:
            self.pairs[split, kind] = self.source.twins(split, kind, count * self.of)
        return self.pairs[split, kind][self.number * count :][:count]

    def size(self, split: str) -> int:
        return self.count if split == self.split else self.source.size(split)

    def _first(self, split: str) -> int:
        return self.number * self.count if split == self.split else 0

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample | UnusableSample:
        return self.source.sample(split, self._first(split) + number, epoch, seed)

    def value(self, split: str, number: int, column: str, epoch: int, seed: int) -> Any:
        return self.source.value(split, self._first(split) + number, column, epoch, seed)


@dataclass
class Declared(ChangedSource):
    """A source that can no more than an evaluation `needs`."""

    needed: frozenset[str] = frozenset()
    GUARDED = ("twins", "oracle", "words")

    @property
    def can(self) -> frozenset[str]:
        return self.source.can & self.needed

    def __getattr__(self, name: str) -> Any:
        if name in self.GUARDED and name not in self.needed:
            raise CheckFailed(
                f"it asks the source for `{name}`, and its `needs` does not name it",
                f'needs = frozenset({{"{name}"}}), or ask only where it is in held.source.can',
            )
        return getattr(self.source, name)


def of_first_input(made: DataModule) -> tuple[str, ...]:
    """The columns of the source that the first input reads."""
    names = next(iter(made.fields.inputs.values()))
    return tuple(dict.fromkeys(made.fields.of.get(name, name) for name in names))


@dataclass
class RoleAlone:
    """An objective of which nothing is to be had but a role's methods, and modules by being called."""

    objective: Any
    name: str
    role: type | None

    def __getattr__(self, attribute: str) -> Any:
        if self.role is not None and attribute in roles.methods(self.role):
            return getattr(self.objective, attribute)
        role = f"the role {self.role.__name__} does not have" if self.role else "no role promises"
        raise CheckFailed(
            f"it reads `{attribute}` of the objective '{self.name}', which {role}",
            "mark the field: Annotated[ObjectiveName, Needs(ROLE)], and call the role's methods alone",
        )


def with_roles_alone(held: SplitContext, evaluation: Evaluation) -> None:
    """From here on the context gives objectives with the methods of their roles alone."""
    wanted = {name: role for _, name, role in needs(evaluation.config)}

    def objective(name: str) -> Any:
        return RoleAlone(held.system.objectives[name], name, wanted.get(name))

    held.objective = objective  # type: ignore[method-assign]


def _answered(answer: int, *_: Any) -> int:
    return answer


@contextmanager
def two_processes_announced() -> Iterator[None]:
    """torch.distributed as it looks to the first of two processes, with every message refused: no other one answers."""
    from torch import distributed

    def refused(name: str, *_: Any, **more: Any) -> None:
        raise CheckFailed(
            f"it calls torch.distributed.{name}, and the first process alone evaluates: the run would wait for ever",
            "compute from the batches that `held` gives; they are the whole split",
        )

    changed: dict[str, Any] = {name: partial(refused, name) for name in COLLECTIVES}
    for name, answer in (("is_initialized", True), ("get_rank", 0), ("get_world_size", 2)):
        changed[name] = partial(_answered, answer)
    before = {name: getattr(distributed, name) for name in changed}
    try:
        for name, stand_in in changed.items():
            setattr(distributed, name, stand_in)
        yield
    finally:
        for name, own in before.items():
            setattr(distributed, name, own)
