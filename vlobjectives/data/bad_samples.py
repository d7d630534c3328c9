"""Samples that cannot be used: counted over all processes, named once, and too many stop the run."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from vlobjectives.contracts.source import UnusableSample
from vlobjectives.errors import DataError
from vlobjectives.runtime.log import Log

Met = tuple[tuple[int, UnusableSample], ...]


@dataclass
class BadSamples:
    """The bad samples of a run so far.

    most     share of `size` above which the run stops (data.max_bad)
    size     samples of the training split
    numbers  those met so far; saved with the checkpoint, so that a resumed run counts on
    """

    most: float
    size: int
    log: Log
    numbers: set[int] = field(default_factory=set)
    first: list[str] = field(default_factory=list)

    def add(self, met: Iterable[tuple[int, UnusableSample]]) -> None:
        """Counts these. Raises DataError when they are too many; every process must be told of the same ones."""
        for number, bad in met:
            if number in self.numbers:
                continue
            self.numbers.add(number)
            self.first = [*self.first, f"{bad.key}: {bad.reason}"][:5]
            self.log.say(f"sample skipped: {bad.key}: {bad.reason}")
        if len(self.numbers) > self.most * self.size:
            raise DataError(
                f"{len(self.numbers)} of {self.size} samples cannot be used so far, and data.max_bad "
                f"allows {int(self.most * self.size)} ({self.most:g}); the first: "
                + "; ".join(self.first or ["named in log.txt"]),
                "`vlobj check --data` counts and names all; correct them, or raise data.max_bad",
            )
