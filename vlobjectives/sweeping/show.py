"""A sweep's table on the terminal, as Markdown and as CSV."""

import csv
import io
import math
from collections.abc import Iterator, Sequence

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from vlobjectives.costs.units import flop
from vlobjectives.sweeping.prepare import Prepared
from vlobjectives.sweeping.tables import Cost, Interval, SweepScore

HEAD = ("row", "mean [95 %]", "difference to base [95 %]", "p, Holm", "")
COSTS = ("row", "what it changes", "runs", "passes", "FLOPs a run", "of base", "training")
READ = (
    "Mean over seeds with Student's 95 % interval. The difference is row less base row, seed by seed, with its own "
    "interval; p of the paired t test, by Holm over the rows of a score. A row is called higher or lower where p "
    "is under 0.05; under three seeds nothing is judged."
)


def planned(prepared: Prepared) -> RenderableType:
    """The runs that a sweep would make."""
    states = {
        "new": "to train",
        "begun": "goes on",
        "finished": "finished",
        "other": "another recipe: set aside, to train",
    }
    table = _table("row", "what it changes", "seeds", "passes", "FLOPs a run", "state")
    for one in prepared.rows:
        found = [run.state for run in one.runs]
        said = ", ".join(f"{found.count(state)} {states[state]}" for state in dict.fromkeys(found))
        table.add_row(one.row.name, escape(one.row.said), f"{len(one.runs)}", f"{one.passes}", flop(one.flops), said)
    return table


def total(prepared: Prepared) -> str:
    """How much there is, and how much of it is left."""
    left = [one.flops for one in prepared.rows for run in one.runs if run.state != "finished"]
    whole = sum(one.flops * len(one.runs) for one in prepared.rows)
    return f"{len(prepared.runs)} runs, {flop(whole)}; left to do {len(left)} runs, {flop(sum(left))}"


def renderable(scores: Sequence[SweepScore], costs: Sequence[Cost]) -> RenderableType:
    """Scores, then costs."""
    first, second = _table(*HEAD), _table(*COSTS)
    for score in scores:
        first.add_row(f"[bold]{escape(_title(score))}[/]")
        for cells in _rows(score):
            first.add_row(*map(escape, cells))
        first.add_section()
    for cells in _costs(costs):
        second.add_row(*map(escape, cells))
    return Group(*([first] if scores else []), second)


def markdown(title: str, scores: Sequence[SweepScore], costs: Sequence[Cost], notes: Sequence[str]) -> str:
    """Both tables, how to read them, and what is to be said beside them."""
    parts = [f"# {title}"]
    if scores:
        rows = [
            cells for score in scores for cells in ((f"**{_title(score)}**", *[""] * (len(HEAD) - 1)), *_rows(score))
        ]
        parts += [READ, _markdown(HEAD, rows)]
    parts += [_markdown(COSTS, list(_costs(costs))), *notes]
    return "\n\n".join(parts) + "\n"


def as_csv(scores: Sequence[SweepScore], costs: Sequence[Cost]) -> str:
    """A line for each score of each row, numbers in full; the empty text where there is none."""
    of_row = {cost.row: cost for cost in costs}
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(
        [
            "score",
            "row",
            "seeds",
            "mean",
            "low",
            "high",
            "chance",
            "shared_seeds",
            "difference",
            "difference_low",
            "difference_high",
            "p",
            "p_holm",
            "verdict",
            "passes",
            "flops",
            "seconds",
        ]
    )
    for score in scores:
        for cell in score.cells:
            cost = of_row[cell.row]
            lines.writerow(
                [
                    "" if value is None else value
                    for value in (
                        score.name,
                        cell.row,
                        cell.seeds,
                        *_finite(cell.mean),
                        score.chance,
                        cell.shared,
                        *(_finite(cell.difference) if cell.difference else (None,) * 3),
                        cell.p,
                        cell.adjusted,
                        cell.verdict,
                        cost.passes,
                        cost.flops,
                        cost.seconds,
                    )
                ]
            )
    return out.getvalue()


def _title(score: SweepScore) -> str:
    """The score's name, its unit and its chance."""
    beside = [
        *(["%"] if score.per_cent else []),
        *([] if score.chance is None else [f"chance {_one(score.chance, score.per_cent)}"]),
    ]
    return score.name + (f" ({', '.join(beside)})" if beside else "")


def _rows(score: SweepScore) -> Iterator[tuple[str, ...]]:
    for cell in score.cells:
        yield (
            cell.row,
            _interval(cell.mean, score.per_cent),
            _interval(cell.difference, score.per_cent, sign=True) if cell.difference else "",
            "" if cell.adjusted is None else f"{cell.adjusted:.3f}" if cell.adjusted >= 0.001 else "< 0.001",
            cell.verdict,
        )


def _costs(costs: Sequence[Cost]) -> Iterator[tuple[str, ...]]:
    for cost in costs:
        runs = f"{cost.done} of {cost.runs}" + (f", {len(cost.why)} failed" if cost.why else "")
        yield (
            cost.row,
            cost.changes,
            runs,
            f"{cost.passes}",
            flop(cost.flops),
            f"x {cost.flops / costs[0].flops:.2f}" if costs[0].flops else "",
            "" if cost.seconds is None else f"{cost.seconds:.0f} s",
        )


def _interval(value: Interval, per_cent: bool, sign: bool = False) -> str:
    mean, low, high = value
    if not math.isfinite(low):
        return _one(mean, per_cent, sign)
    return f"{_one(mean, per_cent, sign)} [{_one(low, per_cent, sign)}, {_one(high, per_cent, sign)}]"


def _one(value: float, per_cent: bool, sign: bool = False) -> str:
    plus = "+" if sign else ""
    return format(100 * value, f"{plus}.1f") if per_cent else format(value, f"{plus}.3f")


def _finite(value: Interval) -> tuple[float | None, ...]:
    return tuple(one if math.isfinite(one) else None for one in value)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _table(*names: str) -> Table:
    table = Table(box=SIMPLE, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(
            name, justify="right" if name in ("seeds", "passes", "FLOPs a run", "of base") else "left", overflow="fold"
        )
    return table
