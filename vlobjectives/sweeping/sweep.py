"""A sweep from its file to its table: prepare, train what is left, tell."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGINT, SIGTERM

from vlobjectives.errors import Interrupted, RecipeError, ResourceError, Stopped
from vlobjectives.recipe import Loaded
from vlobjectives.recipe.recipes import describe
from vlobjectives.registry import Registry
from vlobjectives.run_folder import RunFolder
from vlobjectives.runtime.log import Log
from vlobjectives.runtime.signals import Signals, StopRequest, word
from vlobjectives.sweeping import show, tables
from vlobjectives.sweeping.prepare import Prepared, SweepRun, keep, prepare
from vlobjectives.sweeping.rows import SweepRow
from vlobjectives.sweeping.run_state import set_aside
from vlobjectives.sweeping.sweep_file import SweepFile
from vlobjectives.sweeping.train_row import Outcome, train


@dataclass(frozen=True)
class SweepOrder:
    """What was asked for.

    rows       the rows with their recipes, of `rows.loaded`
    out        the folder of the sweep; tiny: every row in its `--tiny` form
    processes  of each run; words: options that stand before the verb, handed on to every run
    """

    file: SweepFile
    rows: Sequence[tuple[SweepRow, Loaded]]
    out: Path
    tiny: bool = False
    processes: int = 1
    words: Sequence[str] = ()


@dataclass
class SweepJob:
    """A prepared sweep in its folder. `done`: runs that are whole now; `failed`: name of a run -> how it ended."""

    order: SweepOrder
    prepared: Prepared
    folder: RunFolder
    log: Log
    failed: dict[str, Outcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.done = {run for run in self.prepared.runs if run.state == "finished"}

    def train(self, signals: Signals) -> None:
        """Every run that is left, one after the other. Raises StopRequest when a signal or a run's own stop ends the
        sweep."""
        steps = {one.row.name: one.recipe.run.steps for one in self.prepared.rows}
        runs = self.prepared.runs
        for number, run in enumerate(runs, 1):
            if run in self.done:
                continue
            if run.state == "other":
                self.log.say(f"{run.place.name} is a run of another recipe or version: kept as {set_aside(run.place)}")
            self.log.say(f"{number} of {len(runs)}: {run.name}" + (", goes on" if run.state == "begun" else ""))
            outcome = train(
                run,
                self.folder.path / "rows" / f"{run.row}.yaml",
                steps[run.row],
                self.order.words,
                self.order.processes,
                signals,
                self.log,
            )
            if signals.seen is not None or outcome.stopped:
                signals.seen = signals.seen or (SIGTERM if outcome.code == Stopped.code else SIGINT)
                raise StopRequest
            if outcome.code:
                self._failed(run, outcome)
            else:
                self.done.add(run)
            self.write()

    def write(self) -> tuple[list[tables.SweepScore], list[tables.Cost], list[str]]:
        """The tables of all runs that are whole, as table.md and table.csv; gives what they show."""
        rows = {
            one.row.name: {run.seed: RunFolder(run.place).read("summary.json") for run in one.runs if run in self.done}
            for one in self.prepared.rows
        }
        base = self.prepared.rows[0].recipe
        patterns = self.order.file.sweep.metrics
        names = tables.chosen(patterns, next(iter(base.evaluate.entries), "losses"), rows)
        scores, costs = tables.scores(rows, names), [self._cost(one.row.name, rows) for one in self.prepared.rows]
        notes = [f"Failed: {name}: {why}" for cost in costs for name, why in cost.why.items()]
        notes += [
            f"No seconds of {run.name}: no line of its metrics.jsonl can be read."
            for one in self.prepared.rows
            for run in one.runs
            if run in self.done and tables.seconds(run.place, one.recipe.run.steps) is None
        ]
        if any(rows.values()):
            notes += [f"No run has a score {one}." for one in patterns if not tables.chosen([one], "", rows)]
        path = self.order.file.path
        self.folder.write_text("table.md", show.markdown(describe(path) or path.stem, scores, costs, notes))
        self.folder.write_text("table.csv", show.as_csv(scores, costs))
        return scores, costs, notes

    def _cost(self, row: str, rows: dict) -> tables.Cost:
        one = next(one for one in self.prepared.rows if one.row.name == row)
        times = (tables.seconds(run.place, one.recipe.run.steps) for run in one.runs if run.seed in rows[row])
        took = [seconds for seconds in times if seconds is not None]
        return tables.Cost(
            row,
            one.row.said,
            one.passes,
            one.flops,
            sum(took) / len(took) if took else None,
            len(rows[row]),
            len(one.runs),
            {run.name: self.failed[run.name].why for run in one.runs if run.name in self.failed},
        )

    def _failed(self, run: SweepRun, outcome: Outcome) -> None:
        self.failed[run.name] = outcome
        self.folder.write_text(f"failed/{run.place.name}.txt", outcome.said)
        self.log.say(f"{run.name} failed with code {outcome.code}: {outcome.why}; the others go on")


def sweep(order: SweepOrder, registry: Callable[[], Registry], log: Log, dry_run: bool) -> int:
    """Checks all rows, trains what is left, shows the table; gives the exit code: of the first run that failed, or 0.

    dry_run  shows the runs and what they cost, and makes nothing
    Raises Refused where a row does not pass the checks, RecipeError where another process holds the folder, Stopped
    and Interrupted when a signal ends it: the same command goes on.
    """
    out = RunFolder(order.out)
    with Signals() as signals, ExitStack() as held:
        try:
            prepared = prepare(order.file, order.rows, order.out, order.tiny, order.processes, registry, log.say)
            for note in prepared.notes:
                log.say(note)
            log.console.print(show.planned(prepared))
            log.say(show.total(prepared))
            if dry_run:
                return 0
            _make(out.path)
            held.enter_context(out.lock())
            log.path = out.path / "log.txt"
            keep(prepared, out)
            whole = SweepJob(order, prepared, out, log)
            whole.train(signals)
        except (StopRequest, KeyboardInterrupt) as error:
            number = signals.seen or SIGINT
            kind = Interrupted if number == SIGINT else Stopped
            raise kind(f"stopped by {word(number)}", "the same command goes on; finished runs are kept") from error
        scores, costs, notes = whole.write()
        log.console.print(show.renderable(scores, costs))
        for note in notes:
            log.say(note)
        log.say(f"{out.path / 'table.md'}, table.csv beside it")
    return next((outcome.code for outcome in whole.failed.values()), 0)


def check_metrics(file: SweepFile, rows: Sequence[tuple[SweepRow, Loaded]]) -> None:
    """Raises RecipeError for a score that no row's evaluations have."""
    kinds = {
        name
        for _, loaded in rows
        for name in (*loaded.recipe.evaluate.entries, *(["losses"] if loaded.recipe.evaluate.losses else []))
    }
    wrong = [
        place
        for place, pattern in enumerate(file.sweep.metrics)
        if "*" not in pattern.split("/")[0] and (pattern.split("/")[0] not in kinds or pattern.count("/") < 2)
    ]
    if wrong:
        raise RecipeError(
            file.problem(
                ("metrics", place),
                f"no row has a score {file.sweep.metrics[place]}",
                "scores are EVALUATION/SPLIT/NAME, as in summary.json, * for any; evaluations "
                f"here: {', '.join(sorted(kinds))}",
            )
            for place in wrong
        )


def _make(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(f"{path} cannot be made: {error.strerror}", "name another folder with --out") from error
