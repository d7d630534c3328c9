"""The numbers of a sweep's table, from the run folders alone: means over seeds, differences to the base row, costs."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vlobjectives.functional.statistics import holm_bonferroni, mean_interval, paired_interval, paired_t_test

JUDGED = 3
"""Seeds from which on a difference is judged."""
LEVEL = 0.05

Summary = Mapping[str, Mapping[str, Any]]
Interval = tuple[float, float, float]
"""Mean, low and high end of the 95 % interval; infinite ends of a single value."""


@dataclass(frozen=True)
class Cell:
    """A score of a row: its mean over seeds, and how far it lies from the base row's.

    seeds       that have the score; shared: those that the base row has too
    difference  row less base, seed by seed; None for the base row, or where no seed is shared
    p, adjusted the paired t test, by itself and by Holm over the rows of this score; None under JUDGED shared seeds
    """

    row: str
    seeds: int
    mean: Interval
    shared: int = 0
    difference: Interval | None = None
    p: float | None = None
    adjusted: float | None = None

    @property
    def verdict(self) -> str:
        """What may be said of the difference."""
        if self.difference is None:
            return ""
        if self.adjusted is None:
            return f"not judged ({self.shared} seed{'s' * (self.shared != 1)})"
        if self.adjusted >= LEVEL:
            return "not significant"
        return "higher" if self.difference[0] > 0 else "lower"


@dataclass(frozen=True)
class SweepScore:
    """A score over all rows; per_cent: it is a share, printed as per cent."""

    name: str
    chance: float | None
    per_cent: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Cost:
    """What a row costs: passes of its fullest phase, FLOPs of a run, mean seconds of training; and its runs.

    why  reasons of runs that failed, by name of the run
    """

    row: str
    changes: str
    passes: int
    flops: float
    seconds: float | None
    done: int
    runs: int
    why: Mapping[str, str]


def scores(summaries: Mapping[str, Mapping[int, Summary]], names: Sequence[str]) -> list[SweepScore]:
    """The scores of these names. summaries: row -> seed -> summary.json; the first row is the base."""
    base = next(iter(summaries))
    found = []
    for name in names:
        values = {
            row: {seed: one[name]["value"] for seed, one in seeds.items() if _number(one, name)}
            for row, seeds in summaries.items()
        }
        cells = [_cell(row, of_row, values[base] if row != base else None) for row, of_row in values.items() if of_row]
        first = next(one[name] for seeds in summaries.values() for one in seeds.values() if name in one)
        found.append(SweepScore(name, first["chance"], first["per_cent"], _adjusted(cells)))
    return found


def chosen(patterns: Sequence[str], evaluation: str, summaries: Mapping[str, Mapping[int, Summary]]) -> list[str]:
    """Names of scores that a sweep's `metrics` mean; without any, those of an evaluation on its first split."""
    names = (name for seeds in summaries.values() for one in seeds.values() for name in one)
    there = list(dict.fromkeys(name for name in names if "/" in name))  # `unusable` is no score
    if not patterns:
        first = next((name for name in there if name.startswith(f"{evaluation}/")), None)
        patterns = [first.rsplit("/", first.count("/") - 1)[0] + "/*"] if first else []
    return list(dict.fromkeys(name for pattern in patterns for name in there if fnmatchcase(name, pattern)))


def seconds(place: Path, steps: int) -> float | None:
    """Seconds that a run trained, all its starts together: the mean of the logged steps times their number."""
    try:
        lines = (place / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        logged = [json.loads(line)["seconds"] for line in lines]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return math.fsum(logged) / len(logged) * steps if logged else None


def _number(summary: Summary, name: str) -> bool:
    value = summary[name]["value"] if name in summary else None  # null: not finite, as Infinity was before
    return value is not None and math.isfinite(value)


def _cell(row: str, values: Mapping[int, float], base: Mapping[int, float] | None) -> Cell:
    mean = mean_interval(values.values())
    shared = [seed for seed in values if seed in (base or {})]
    if base is None or not shared:
        return Cell(row, len(values), mean)
    own, other = [values[seed] for seed in shared], [base[seed] for seed in shared]
    p = paired_t_test(own, other) if len(shared) >= JUDGED else None
    return Cell(row, len(values), mean, len(shared), paired_interval(own, other), p)


def _adjusted(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """The cells with their probabilities adjusted for how many rows are judged."""
    judged = {cell.row: cell.p for cell in cells if cell.p is not None}
    by_row = dict(zip(judged, holm_bonferroni(list(judged.values()))))
    return tuple(
        Cell(cell.row, cell.seeds, cell.mean, cell.shared, cell.difference, cell.p, by_row.get(cell.row))
        for cell in cells
    )
