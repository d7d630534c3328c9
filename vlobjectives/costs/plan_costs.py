"""What a plan costs: passes, objectives, memory, and what sharing saved. Data only; `costs.shape_check` counts them."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from vlobjectives.planning.plan import Plan
from vlobjectives.recipe.times import Weight, in_steps, weight_at


@dataclass(frozen=True)
class Pass:
    """One pass of a plan.

    part, kind  who runs (`vision~ema`: by averaged weights), and whether it is an encoded, joint, fused or decoded view
    reads       what it is fed, in words
    rows        of a micro-batch; tokens: of each row and stream, class tokens counted, padding too
    consumers   objectives, masks and pairings that asked for it
    flops       forward, of a micro-batch
    stacked     where it takes several inputs row under row, each of them in the words of `reads`; else empty
    """

    name: str
    part: str
    kind: str
    reads: str
    rows: int
    tokens: tuple[int, ...]
    consumers: tuple[str, ...]
    flops: int
    stacked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loss:
    """A term of an objective: its weight, how many it scores in a micro-batch of full captions, its chance level."""

    name: str
    weight: float
    scored: float | None
    chance: float | None


@dataclass(frozen=True)
class ObjectiveCost:
    """An objective: its losses, the rows that it sees together, its own forward work (heads, similarities).

    heads  parts that it calls itself: no pass runs through them
    """

    name: str
    losses: tuple[Loss, ...]
    rows: int
    group: int | str
    heads: tuple[str, ...]
    flops: int


@dataclass(frozen=True)
class Memory:
    """The most bytes alive at once in a step, and what they were: weights and so on -> bytes at that moment.

    passes   pass, draw or objective -> bytes that it keeps from the forward for the backward pass (activations)
    holders  all of these at that moment: `parts`, with each pass, draw and objective in place of the activations
    """

    peak: int
    parts: Mapping[str, int]
    passes: Mapping[str, int]
    holders: Mapping[str, int]

    def largest(self, count: int) -> list[tuple[str, int]]:
        """The largest holders of activations."""
        return Counter(self.passes).most_common(count)

    def largest_holders(self, count: int) -> list[tuple[str, int]]:
        """Who holds most when most is held."""
        return Counter(self.holders).most_common(count)


@dataclass(frozen=True)
class Phase:
    """A set of objectives that is live together: for how many steps from which on, and what such a step costs.

    forward, backward  FLOPs of a micro-batch; what is recomputed counts as backward
    own_gradients      of those backward: what a balancer takes to see each objective's own gradient
    comparison         FLOPs that a step takes more in which `run.log.conflict` is due
    """

    objectives: tuple[str, ...]
    first: int
    steps: int
    passes: int
    forward: int
    backward: int
    memory: Memory
    own_gradients: int = 0
    comparison: int = 0


@dataclass(frozen=True)
class ScheduleCost:
    """One way to run the same losses: passes by part, forward FLOPs and activations (bytes) of a micro-batch."""

    groups: tuple[tuple[str, ...], ...]
    passes: Mapping[str, int]
    forward: int
    activations: int


@dataclass(frozen=True)
class Costs:
    """What `vlobj plan` shows. The passes and losses are those of the phase with the most work.

    source      the source of data.mix whose steps these are; '' where nothing is mixed
    lacks       the inputs that it does not feed
    device, precision  what was counted for
    batch, micro_batch, processes  pairs a step, pairs that a process passes at once
    parameters  part or objective -> trained numbers, shared ones counted where they are made
    averages    part (`vision~ema`) -> numbers of which an average is kept
    state       objective -> buffer -> shape, of those that change their buffers after a step
    phases      sets of objectives that are live together, in order of time
    schedules   planned, published (if the recipe says), unshared
    unknown     operators that the counter has no formula for -> how often
    balancer, balanced_on  what weighs the objectives, and the parts whose gradients it sees
    compared    every so many steps the objectives' gradients are compared; 0: never
    samples     training samples of the source; None where its data is not here
    """

    recipe: str
    source: str
    device: str
    precision: str
    batch: int
    micro_batch: int
    processes: int
    steps: int
    passes: tuple[Pass, ...]
    objectives: tuple[ObjectiveCost, ...]
    parameters: Mapping[str, int]
    phases: tuple[Phase, ...]
    schedules: Mapping[str, ScheduleCost]
    averages: Mapping[str, int] = field(default_factory=dict)
    state: Mapping[str, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)
    recomputed: tuple[str, ...] = ()
    unknown: Mapping[str, int] = field(default_factory=dict)
    balancer: str = ""
    balanced_on: tuple[str, ...] = ()
    compared: int = 0
    lacks: tuple[str, ...] = ()
    samples: int | None = None

    @property
    def epochs(self) -> float | None:
        """How often the steps show the training samples."""
        return self.steps * self.batch / self.samples if self.samples else None

    @property
    def micro_steps(self) -> int:
        return self.batch // (self.micro_batch * self.processes)

    @property
    def full(self) -> Phase:
        """The phase with the most work."""
        return max(self.phases, key=lambda phase: phase.forward)

    @property
    def memory(self) -> Memory:
        """That of the phase that needs most."""
        return max((phase.memory for phase in self.phases), key=lambda memory: memory.peak)

    @property
    def flops(self) -> float:
        """Of the whole run on all processes, forward and backward."""
        share = 1 / self.compared if self.compared else 0.0
        return sum(
            (phase.forward + phase.backward + share * phase.comparison) / self.micro_batch * self.batch * phase.steps
            for phase in self.phases
        )


def schedule(plan: Plan, flops: Mapping[str, int], held: Mapping[str, int]) -> ScheduleCost:
    """What a plan costs whose entries were all counted in another: a pass costs the same whoever shares it.

    flops, held  title of a view, a draw or name of an objective -> FLOPs, bytes of activations; 0 where it is missing
    """
    entries = [title for share in plan.shares for work in share.work for title in work.titles]
    entries += [name for share in plan.shares for name in share.objectives]
    return ScheduleCost(
        tuple(share.objectives for share in plan.shares),
        dict(Counter(w.key.runner for w in plan.passes)),
        sum(flops.get(name, 0) for name in entries),
        sum(held.get(name, 0) for name in entries),
    )


def together(group: int | str, micro_batch: int, processes: int) -> int:
    """Rows that a loss really sees: never the batch that accumulation adds up, only what is passed at once."""
    return micro_batch * processes if isinstance(group, str) else min(group, micro_batch)


def spans(
    weights: Mapping[str, Weight], steps: int, before: Callable[[int], int] = lambda step: step
) -> dict[tuple[str, ...], int]:
    """Set of live objectives -> for how many of the run's steps.

    before  how many of the steps before one count: of a mix those of one source
    Between two points in time a weight is a straight line that is nowhere negative, so who is live does not change.
    """
    ends = {0, steps}
    for weight in weights.values():
        if not isinstance(weight, int | float):
            ends |= {in_steps(time, steps) + by for time, _ in weight for by in (0, 1)}
    marks = sorted(end for end in ends if 0 <= end <= steps)
    found: Counter[tuple[str, ...]] = Counter()
    for start, end in pairwise(marks):
        live = tuple(name for name, weight in weights.items() if weight_at(weight, start, steps))
        found[live] += before(end) - before(start)
    return dict(found)
