"""A sweep before anything trains: every row checked, dry run included, what it costs counted, what is left to do."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ValidationError

from vlobjectives import run_manifest
from vlobjectives.checking import check
from vlobjectives.costs.measure import measure
from vlobjectives.errors import DataError, Place, PluginError, Problem
from vlobjectives.recipe import Loaded, Recipe, dump
from vlobjectives.recipe.report import Refused
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import absolute
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.resolved.tiny import tiny
from vlobjectives.run_folder import RunFolder
from vlobjectives.runs import plugin_copies, resume
from vlobjectives.sweeping.rows import SweepRow, of_rows
from vlobjectives.sweeping.run_state import Plugins, State, digest, state
from vlobjectives.sweeping.sweep_file import SweepFile
from vlobjectives.training.schedule import live_sets

STATE = "sweep.json"


class _Known(BaseModel):
    """What an earlier start found of a row."""

    digest: str
    passes: int
    flops: float


class _Before(BaseModel):
    """What is read of STATE; `keep` writes it."""

    rows: dict[str, _Known]


@dataclass(frozen=True)
class SweepRun:
    """A row under a seed, the run folder that it has, and what lies there."""

    row: str
    seed: int
    place: Path
    state: State

    @property
    def name(self) -> str:
        return f"{self.row}, seed {self.seed}"


@dataclass(frozen=True)
class ReadyRow:
    """A row that passed all checks: its resolved recipe, what its plan costs, its runs, one a seed.

    passes  of the phase with the most work; flops: of a run, forward and backward
    """

    row: SweepRow
    recipe: Recipe
    digest: str
    passes: int
    flops: float
    runs: tuple[SweepRun, ...]


@dataclass(frozen=True)
class Prepared:
    """The rows of a sweep, and what was noted about them."""

    rows: tuple[ReadyRow, ...]
    notes: tuple[str, ...]

    @property
    def runs(self) -> list[SweepRun]:
        """Every run, seed after seed: what is compared comes together."""
        return [run for runs in zip(*(one.runs for one in self.rows)) for run in runs]


@dataclass
class _Found:
    """A row on its way through the checks; `key` is its digest, empty where a plug-in of it cannot be used;
    `resolved` is there once it is checked."""

    row: SweepRow
    loaded: Loaded
    registry: Registry
    processes: int
    plugins: Plugins = ()
    files: Mapping[str, str] = field(default_factory=dict)
    resolved: Resolved | None = None
    key: str = ""
    runs: tuple[SweepRun, ...] = ()

    def settle(self, out: Path, seeds: Sequence[int]) -> None:
        """Resolves the recipe, learns who brings its plug-ins, and looks for its runs."""
        with suppress(PluginError, OSError):  # the checks say what is wrong
            for number, path in enumerate(self.loaded.recipe.plugins):
                self.registry.add_file(path, self.loaded.own("plugins", number))
            self.loaded = resume.settled(absolute(self.loaded, self.registry), self.processes)
            self.plugins = run_manifest.used_plugins(self.loaded.recipe, self.registry)
            self.files = plugin_copies.digests(self.loaded.recipe, self.registry)
            self.key = digest(self.loaded.recipe, self.plugins, self.files)
            self.runs = tuple(self._run(out, seed) for seed in seeds)

    def _run(self, out: Path, seed: int) -> SweepRun:
        place, recipe = out / f"{self.row.name}-seed{seed}", self.loaded.recipe.model_copy(update={"seed": seed})
        return SweepRun(self.row.name, seed, place, state(place, recipe, self.plugins, self.files))

    def finished(self, before: Mapping[str, _Known]) -> bool:
        """Whether there is nothing left to check: all of its runs are there, and its costs are known."""
        return self.key in before and all(run.state == "finished" for run in self.runs)


def prepare(
    file: SweepFile,
    rows: Sequence[tuple[SweepRow, Loaded]],
    out: Path,
    small: bool,
    processes: int,
    registry: Callable[[], Registry],
    say: Callable[[str], None],
) -> Prepared:
    """Checks every row, counts what it costs, and looks for what earlier starts of the sweep left in `out`.

    small  every row in its `--tiny` form; processes: of each run
    A row that is the same as an earlier one is left out, and noted. Raises Refused with the problems of all rows.
    """
    seeds, (before, notes) = file.sweep.seeds, _before(out)
    kept: dict[str, _Found] = {}
    for row, loaded in rows:
        if row.path == ("drop_one",) and (gone := _idle(loaded.recipe)) is not None:
            notes.append(f"row {row.name} is left out: without this objective none has a weight at step {gone}")
            continue
        one = _Found(row, loaded.replaced({("seed",): seeds[0]}), registry(), processes)
        if small:
            one.loaded, said = tiny(one.loaded, one.registry, processes)
            notes += [] if kept else [said]
        one.settle(out, seeds)
        if one.key in kept:
            notes.append(f"row {row.name} is the same recipe as row {kept[one.key].row.name}, and left out")
        else:
            kept[one.key or row.name] = one
    notes += _check([one for one in kept.values() if not one.finished(before)], len(kept), out, say)
    return Prepared(
        tuple(
            ReadyRow(one.row, one.loaded.recipe, key, *_costs(one, before.get(key)), one.runs)
            for key, one in kept.items()
        ),
        tuple(notes),
    )


def _idle(recipe: Recipe) -> int | None:
    """The first step at which no objective has a weight."""
    weights = {name: entry.weight for name, entry in recipe.objectives.items()}
    return live_sets(weights, recipe.run.steps).get(())


def _check(found: Sequence[_Found], rows: int, out: Path, say: Callable[[str], None]) -> list[str]:
    """Every check of these of so many rows; gives the notes. Raises Refused with all errors."""
    problems: dict[Problem, list[str]] = {}
    codes = []
    for number, one in enumerate(found, 1):
        say(f"checking row {number} of {len(found)}: {one.row.name}")
        one.resolved, report = check(one.loaded, one.registry, one.processes, out / one.row.name)
        for problem in (*report.errors, *report.notes):
            problems.setdefault(problem, []).append(one.row.name)
        codes.append(report.code)
    told = [problem if len(names) == rows else of_rows(problem, names) for problem, names in problems.items()]
    if errors := [problem for problem in told if not problem.note]:
        raise Refused(errors, next(code for code in codes if code))
    return [str(problem) for problem in told]


def keep(prepared: Prepared, out: RunFolder) -> None:
    """Writes each row's recipe, and what is known of it for the next start."""
    for one in prepared.rows:
        out.write_text(f"rows/{one.row.name}.yaml", dump(one.recipe))
    out.write(
        STATE,
        {
            "rows": {
                one.row.name: {"changes": one.row.said, "digest": one.digest, "passes": one.passes, "flops": one.flops}
                for one in prepared.rows
            }
        },
    )


def _before(out: Path) -> tuple[dict[str, _Known], list[str]]:
    """Digest of a row -> what an earlier start found; and a note where that is damaged."""
    place = RunFolder(out)
    if not place.has(STATE):
        return {}, []
    try:
        return {row.digest: row for row in _Before.model_validate(place.read(STATE)).rows.values()}, []
    except DataError as error:
        what = error.what
    except ValidationError as error:
        wrong = error.errors()[0]
        what = f"the file is damaged: {'.'.join(map(str, wrong['loc'])) or 'it'}: {wrong['msg']}"
    return {}, [
        str(
            Problem(
                Place(str(out / STATE)),
                "",
                f"{what}; what it says of earlier starts is not used",
                "nothing: rows are checked and counted again, which writes it anew; finished runs stay",
                note=True,
            )
        )
    ]


def _costs(one: _Found, before: _Known | None) -> tuple[int, float]:
    if before is not None:
        return before.passes, before.flops
    assert one.resolved is not None  # whatever has costs that are not known was checked
    costs = [measure(one.resolved, source) for source in one.resolved.recipe.sources]
    return max(len(of.passes) for of in costs), sum(of.flops for of in costs)
