"""What a person sees of a run: lines, a progress bar on a terminal, a table of scores; and log.txt."""

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from vlobjectives.contracts.evaluation import Score
from vlobjectives.runtime.console import Wide

QUIET_SECONDS = 10.0
"""How often a plain line is printed where there is no terminal."""


@dataclass(frozen=True)
class UnusableOfSplit:
    """Samples of a split that its scores lack, since they could not be read: others stand in their place.

    Attributes:
        samples: How many the split has.
        unusable: How many of these could not be read.
        first: The first of them, and why.
    """

    samples: int
    unusable: int
    first: str


class Log:
    """Lines to the terminal and to a file; the processes beside the first one are silent."""

    def __init__(self, first: bool = True, path: Path | None = None):
        self.first, self.path = first, path
        self.console = Wide(file=sys.stderr if not first else None, quiet=not first, soft_wrap=True, highlight=False)

    def say(self, line: str) -> None:
        self.console.print(line, markup=False)
        self._write(line)

    def only_file(self, line: str) -> None:
        self._write(line)

    def _write(self, line: str) -> None:
        if self.first and self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    def progress(self, total: int, done: int = 0, what: str = "training") -> "Bar":
        return Bar(self, total, done, what)

    def scores(
        self, scores: Mapping[str, Score], title: str, unusable: Mapping[str, UnusableOfSplit] | None = None
    ) -> None:
        self.console.print(score_table(scores, title, unusable))


class Bar:
    """Progress of something that takes more than two seconds: a bar on a terminal, else a line now and then."""

    def __init__(self, log: Log, total: int, done: int, what: str):
        self.log, self.total, self.done, self.what = log, total, done, what
        self.last = time.monotonic()
        self.live = log.console.file.isatty() and log.console.is_terminal and log.first

    def __enter__(self) -> "Bar":
        if self.live:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.completed}/{task.total}"),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=self.log.console,
                transient=True,
            )
            self.task = self.bar.add_task(self.what, total=self.total, completed=self.done, note="")
            with self.log.console.heard():
                self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.live:
            with self.log.console.heard():
                self.bar.stop()

    def to(self, done: int, note: str = "") -> None:
        """So much is done."""
        self.done = done
        if self.live:
            with self.log.console.heard():
                self.bar.update(self.task, completed=done, note=note)
        elif time.monotonic() - self.last >= QUIET_SECONDS:
            self.last = time.monotonic()
            self.log.say(f"{self.what} {done}/{self.total}  {note}")


def score_table(
    scores: Mapping[str, Score], title: str, unusable: Mapping[str, UnusableOfSplit] | None = None
) -> Table:
    """Scores side by side over splits, an evaluation's under its name; flat names are `evaluation/split/score`.

    Two splits fit into 80 columns, each score in one line. Under a split's name stands how many of its samples could
    be read, where that is not all.
    """
    splits = list(dict.fromkeys(name.split("/")[1] for name in scores))
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("score", no_wrap=True)
    for split in splits:
        lost = (unusable or {}).get(split)
        head = f"{split}\n{lost.samples - lost.unusable} of {lost.samples} read" if lost else split
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("chance", justify="right", no_wrap=True)
    rows: dict[str, dict[str, dict[str, Score]]] = {}
    for name, score in scores.items():
        kind, split, key = name.split("/", 2)
        rows.setdefault(kind, {}).setdefault(key, {})[split] = score
    for kind, below in rows.items():
        table.add_row(kind, style="bold")
        for key, row in below.items():
            chances = {_number(score.chance, score.per_cent) for score in row.values()}
            table.add_row(f" {key}", *(_cell(row.get(split)) for split in splits), " / ".join(sorted(chances)))
    return table


def _cell(score: Score | None) -> str:
    if score is None:
        return ""
    return (
        f"{_number(score.value, score.per_cent)} "
        f"[{_number(score.low, score.per_cent)}, {_number(score.high, score.per_cent)}]"
    ).replace("[", r"\[")


def _number(value: float | None, per_cent: bool) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return f"{100 * value:.1f}" if per_cent else f"{value:.2f}"
