"""The rows of a sweep: base, named rows, points of the grid, objectives left out; and the recipe of each."""

import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.recipe import Loaded, load
from vlobjectives.recipe.layers import COMMAND_LINE
from vlobjectives.recipe.overrides import Change
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.sweeping.sweep_file import BASE, SEEDED, SEEDS, SweepFile

LONGEST = 80
"""Characters of a row's name: it names folders."""


@dataclass(frozen=True)
class SweepRow:
    """A row: its name, what it changes beside what all change, and where the sweep file says so."""

    name: str
    changes: tuple[Change, ...]
    path: KeyPath

    @property
    def said(self) -> str:
        """What it changes, in words."""
        return ", ".join(f"{one.name}={json.dumps(one.document.data, ensure_ascii=False)}" for one in self.changes)


def loaded(file: SweepFile, overrides: Sequence[str] = ()) -> list[tuple[SweepRow, Loaded]]:
    """Every row with its recipe, the base row first; `overrides` hold in all rows.

    Raises RecipeError with the problems of all rows.
    """
    if any(word.partition("=")[0] == "seed" for word in overrides):
        raise RecipeError.one(SEEDED, f"write them in {file.path.name}: {SEEDS}", Place(COMMAND_LINE), "seed")
    common = [file.change(key, ("change", key)) for key in file.sweep.change]
    base = SweepRow(BASE, (), ())
    recipe = load(file.base, [*common, *overrides])  # what is wrong with all rows is said once
    found, problems = [(base, recipe)], []
    for row in _rows(file, list(recipe.recipe.objectives)):
        try:
            if any(row.name == other.name for other, _ in found):
                raise RecipeError(
                    [
                        file.problem(
                            row.path,
                            f"two rows would be named '{row.name}'",
                            "write one of them under `rows` with a name of its own",
                        )
                    ]
                )
            found.append((row, load(file.base, [*common, *row.changes, *overrides])))
        except RecipeError as error:
            problems += [of_rows(problem, [row.name]) for problem in error.problems]
    if problems:
        raise RecipeError(problems)
    return found


def of_rows(problem: Problem, rows: Iterable[str]) -> Problem:
    """The problem with the rows that have it."""
    rows = list(rows)
    what = f"row{'s' * (len(rows) > 1)} {', '.join(rows)}: {problem.what}"
    return Problem(problem.place, problem.path, what, problem.hint, problem.note)


def _rows(file: SweepFile, objectives: Sequence[str]) -> Iterator[SweepRow]:
    sweep = file.sweep
    for name, keys in sweep.rows.items():
        yield SweepRow(name, tuple(file.change(key, ("rows", name, key)) for key in keys), ("rows", name))
    short = _short(list(sweep.grid))
    for point in itertools.product(*(range(len(values)) for values in sweep.grid.values())) if sweep.grid else ():
        changes = tuple(file.change(key, ("grid", key, place)) for key, place in zip(sweep.grid, point))
        name = ",".join(f"{short[one.name]}={_word(one.document.data)}" for one in changes)
        yield SweepRow(name[:LONGEST], changes, ("grid",))
    if sweep.drop_one:
        for name in objectives:
            change = file.constant(f"objectives.{name}.weight", 0, ("drop_one",))
            yield SweepRow(f"without_{name}", (change,), ("drop_one",))


def _short(keys: Sequence[str]) -> dict[str, str]:
    """Dotted key -> as many of its last words as tell it from the others."""

    def last(key: str, words: int) -> str:
        return ".".join(key.split(".")[-words:])

    found = {}
    for key in keys:
        same = (n for n in range(1, len(key.split("."))) if sum(last(one, n) == last(key, n) for one in keys) == 1)
        found[key] = last(key, next(same, key.count(".") + 1))
    return found


def _word(value: object) -> str:
    """A value as part of a folder's name."""
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", text).strip("_") or "_"
