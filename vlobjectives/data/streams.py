"""Sources that take turns in one run: whose turn a step is, and the batch that it gets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from math import lcm

from torch.utils.data import Dataset

from vlobjectives.contracts.source import Source
from vlobjectives.data.collate import Fields
from vlobjectives.data.loader import Layout, LoadedBatch, MicroBatches

FINEST = 10**6
"""Weights are taken as fractions with denominators up to this, so that ties are ties on every machine."""


@dataclass(frozen=True)
class DataStream:
    """A source of a recipe, the fields that its samples fill, and its weight beside the other sources."""

    source: Source
    fields: Fields
    weight: float = 1.0


class Turns:
    """Whose turn a step is: the source's that is furthest behind its share of the steps so far.

        step s:  argmax_i  w_i (s + 1) / sum(w) - n_i(s),      n_i(s) the steps before s that source i had

    The first of several. A pure function of step and weights: no source is ever a whole step ahead of its share, and
    a resumed run goes on with the turns of the unstopped one. After as many steps as the weights (as whole numbers) sum
    to everybody had just its share, and the turns begin again.
    """

    def __init__(self, weights: Sequence[float]):
        exact = [Fraction(weight).limit_denominator(FINEST) or Fraction(1, FINEST) for weight in weights]
        common = lcm(*(weight.denominator for weight in exact))
        self.weights = [int(weight * common) for weight in exact]
        self._round: list[tuple[int, int]] = []
        self._had = [0] * len(weights)

    def __call__(self, step: int) -> tuple[int, int]:
        """(the source's number, how many steps it had before)."""
        if len(self.weights) == 1:
            return 0, step
        total = sum(self.weights)
        rounds, place = divmod(step, total)
        while len(self._round) <= place:
            s = len(self._round) + 1
            behind = [weight * s - had * total for weight, had in zip(self.weights, self._had)]
            who = behind.index(max(behind))
            self._round.append((who, self._had[who]))
            self._had[who] += 1
        who, had = self._round[place]
        return who, rounds * self.weights[who] + had

    def before(self, step: int, who: int) -> int:
        """How many of the steps before `step` are this source's."""
        if len(self.weights) == 1:
            return step
        rounds, place = divmod(step, sum(self.weights))
        return rounds * self.weights[who] + sum(self(earlier)[0] == who for earlier in range(place))


class Mixture(Dataset):
    """Item (step * micro_steps + m): a micro-batch of the source whose turn the step is.

    Each source goes on in its own order and has epochs of its own. Numbers of bad samples count through the sources,
    so that none stands for two.
    """

    def __init__(self, parts: Sequence[MicroBatches], turns: Turns):
        self.parts, self.turns = list(parts), turns
        self.micro_steps = parts[0].layout.micro_steps
        self.first = [0, *accumulate(part.size for part in parts)]

    def __getitem__(self, item: int) -> LoadedBatch:
        step, m = divmod(item, self.micro_steps)
        who, had = self.turns(step)
        loaded = self.parts[who][had * self.micro_steps + m]
        return replace(loaded, bad=tuple((self.first[who] + number, bad) for number, bad in loaded.bad))


def turns(feeds: Mapping[str, DataStream]) -> Turns:
    """Whose turn a step is, by number of the source."""
    return Turns([feed.weight for feed in feeds.values()])


def epochs(weights: Sequence[float], sizes: Sequence[int], steps: int, batch: int) -> list[float]:
    """How often each source shows its training samples in so many steps of a run.

    Args:
        weights: The sources' weights, in their order.
        sizes: How many training samples each has.
        steps: Optimizer steps of the run, of all sources together.
        batch: Samples of a step.
    """
    whose = Turns(weights)
    return [whose.before(steps, who) * batch / size if size else 0.0 for who, size in enumerate(sizes)]


def training(feeds: Mapping[str, DataStream], layout: Layout, seed: int) -> Mixture:
    """The training micro-batches of all sources."""
    return Mixture(
        [MicroBatches(feed.source, feed.fields, "train", layout, seed) for feed in feeds.values()], turns(feeds)
    )
