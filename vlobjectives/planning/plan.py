"""The plan: the views of objectives, masks and pairings as an ordered list in which each distinct pass stands once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeGuard, TypeVar

from vlobjectives.contracts.mask import Mask
from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.pairing import Pairing
from vlobjectives.contracts.passes import Input, InputTable, Key, MaskKey, PairsKey, RequestedOutputs, View, ViewError
from vlobjectives.planning.node import PlanNode
from vlobjectives.planning.stacks import Alike, with_stacks

T = TypeVar("T")


def _is_pass(work: PlanNode[Key]) -> TypeGuard[PlanNode[View]]:
    return isinstance(work.key, View)


@dataclass(frozen=True)
class PassGroup:
    """Objectives that share passes, and the work that they need, each entry after what it is fed."""

    objectives: tuple[str, ...]
    work: tuple[PlanNode[Key], ...]
    views: Mapping[str, Mapping[str, View]] = field(repr=False)

    @property
    def passes(self) -> tuple[PlanNode[View], ...]:
        return tuple(work for work in self.work if _is_pass(work))


@dataclass(frozen=True)
class Plan:
    """Shares that run one after the other. One share holds all live objectives unless `plan.share` is `none`."""

    shares: tuple[PassGroup, ...]

    @property
    def passes(self) -> tuple[PlanNode[View], ...]:
        return tuple(work for share in self.shares for work in share.passes)


class PlanContext(Protocol):
    """Who plays: everything named in a recipe that declares views or is named by one."""

    @property
    def inputs(self) -> Mapping[str, Input]: ...

    @property
    def masks(self) -> Mapping[str, Mask]: ...

    @property
    def pairings(self) -> Mapping[str, Pairing]: ...

    @property
    def objectives(self) -> Mapping[str, Objective]: ...


def make(cast: PlanContext, groups: Iterable[Sequence[str]], alike: Alike = lambda view: None) -> Plan:
    """The plan in which the objectives of each group share passes, and groups share nothing.

    alike  which passes of an encoder become rows of one, see `stacks`; by default none

    One group of all is the planned schedule, a group for each objective the unshared one; an author's published
    schedule is anything between. Raises ViewError where views cannot be.
    """
    return Plan(tuple(_share(cast, tuple(group), alike) for group in groups))


def of_views(cast: PlanContext, views: Mapping[str, View], consumer: str) -> PassGroup:
    """The work that a few views need, for whoever is no objective (an evaluation)."""
    collector = _Collector(cast)
    for view in views.values():
        collector.add(view, consumer, trained=False)
    return PassGroup((), tuple(collector.work.values()), {consumer: dict(views)})


def _share(cast: PlanContext, names: tuple[str, ...], alike: Alike) -> PassGroup:
    collector = _Collector(cast)
    views = {name: dict(cast.objectives[name].views(cast.inputs)) for name in names}
    for name in names:
        for view in views[name].values():
            collector.add(view, name, trained=True)
    return PassGroup(names, with_stacks(list(collector.work.values()), collector.needs, alike), views)


class _Collector:
    """Walks views depth first; a key is entered after everything that it is fed."""

    def __init__(self, cast: PlanContext):
        self.cast = cast
        self.work: dict[Key, PlanNode[Key]] = {}
        self.needs: dict[Key, set[Key]] = {}
        self.open: list[Key] = []

    def add(self, view: View, consumer: str, trained: bool) -> None:
        key = view.run
        for needed in (*key.required, *([view.sight] if view.sight else [])):
            if isinstance(needed, MaskKey):
                self.draw(needed, consumer)
            else:
                self.pairs(needed, consumer)
        trained = trained and not key.averaged
        for fed in key.fed:
            self.add(fed, consumer, trained)
        self.needs[key] = {*key.required, *_read(key.fed)}
        self.enter(key, view.reading, consumer, trained)

    def draw(self, key: MaskKey, consumer: str) -> None:
        mask = self._named(self.cast.masks, key.mask, "mask")
        self._before(key, mask.views(bare(self.cast.inputs)), f"mask {key.mask}")
        self.enter(key, RequestedOutputs(), consumer, trained=False)

    def pairs(self, key: PairsKey, consumer: str) -> None:
        pairing = self._named(self.cast.pairings, key.pairing, "pairing")
        self._before(key, pairing.views(self.cast.inputs), f"pairing {key.pairing}")
        self.enter(key, RequestedOutputs(), consumer, trained=False)

    def _before(self, key: Key, views: Mapping[str, View], consumer: str) -> None:
        if key in self.open:
            raise ViewError(f"{consumer} looks at a view that needs its own draw")
        if key in self.work:
            return
        self.open.append(key)
        for view in views.values():
            self.add(view, consumer, trained=False)
        self.needs[key] = _read(views.values())
        self.open.pop()

    def enter(self, key: Key, reading: RequestedOutputs, consumer: str, trained: bool) -> None:
        old = self.work.get(key)
        if old is None:
            self.work[key] = PlanNode(key, RequestedOutputs() | reading, (consumer,), trained)
            return
        consumers = old.consumers if consumer in old.consumers else (*old.consumers, consumer)
        self.work[key] = PlanNode(key, old.reading | reading, consumers, old.trained or trained)

    @staticmethod
    def _named(known: Mapping[str, T], name: str, kind: str) -> T:
        if name not in known:
            raise ViewError(f"there is no {kind} '{name}' in this recipe")
        return known[name]


def _read(views: Iterable[View]) -> set[Key]:
    """What must have run where these views are read."""
    return {key for view in views for key in (view.run, view.sight) if key is not None}


def bare(inputs: Mapping[str, Input]) -> dict[str, Input]:
    """Inputs without their own masks: what masks look at."""
    return InputTable({name: replace(x, mask=None) for name, x in inputs.items()})
