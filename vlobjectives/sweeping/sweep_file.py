"""A sweep file: one recipe, and what each row changes in it; every value knows where it was written."""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from vlobjectives.contracts.numbers import Seed
from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.recipe.layers import Layered, filled, shown
from vlobjectives.recipe.model import Name, Section
from vlobjectives.recipe.overrides import Change
from vlobjectives.recipe.recipes import find, folder, nearby
from vlobjectives.recipe.recipes import names as recipes
from vlobjectives.recipe.schema import typed
from vlobjectives.recipe.yaml import Document, KeyPath, dotted, read

BASE = "base"
"""The row that changes nothing; the others are compared with it."""
SEEDED, SEEDS = "every row is trained with each of `seeds`, and none has a seed of its own", "seeds: [0, 1, 2], say"


class Sweep(Section):
    """What a sweep trains: the base, each named row, each point of the grid, each objective left out; over all seeds.

    A change is `key.path: value` as on the command line, but that it may add an entry to a section, and that a
    relative path counts from the sweep file; null takes an entry away.
    """

    base: str = Field(description="the recipe that the rows change: a shipped recipe's name, or a file")
    change: dict[str, Any] = Field({}, description="changes that every row has, the base row too")
    rows: dict[Name, dict[str, Any]] = Field({}, description="rows by name, each with its changes")
    grid: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        {}, description="key.path: [values]; each combination is a row"
    )
    drop_one: Literal["objectives"] | None = Field(
        None, description="objectives: for each objective a row in which its weight is 0"
    )
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)] = Field(
        description="each row is trained once with each, such as [0, 1, 2]"
    )
    metrics: tuple[str, ...] = Field(
        (), description="scores in the table, as summary.json names them, * for any; by default the first evaluation's"
    )
    out: str | None = Field(None, description="the folder of runs and tables; by default runs/NAME of the sweep file")


@dataclass(frozen=True)
class SweepFile:
    """A valid sweep, where each of its values was written, and the file of its base."""

    sweep: Sweep
    layered: Layered
    path: Path
    base: Path

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def out(self) -> Path:
        """The folder of the sweep, absolute."""
        if self.sweep.out is None:
            return Path.cwd() / "runs" / self.name
        return (self.path.parent / Path(self.sweep.out).expanduser()).resolve()

    def problem(self, path: KeyPath, what: str, hint: str) -> Problem:
        """A Problem at a key path of the sweep file."""
        return _problem(self.layered, path, what, hint)

    def change(self, name: str, path: KeyPath) -> Change:
        """The value at a key path of the sweep file, to be laid over the recipe's entry `name`."""
        return Change(name, self.layered.document(path), self.path.parent)

    def constant(self, name: str, value: Any, path: KeyPath) -> Change:
        """A value that follows from what is written at a key path."""
        return Change(name, Document(value, {(): self.layered.spots[path]}), self.path.parent)


def names() -> list[str]:
    """The names of the shipped sweeps."""
    return sorted(path.stem for path in (folder() / "sweeps").glob("*.yaml"))


def read_sweep(word: str | Path) -> SweepFile:
    """A sweep by file (it ends in .yaml) or shipped name. Raises RecipeError with every problem of keys and types."""
    path = _located(word)
    layered = Layered(folders={shown(path): path.parent})
    document = read(path, shown(path), first="base")
    if "base" not in document.data and {"objectives", "extends"} & document.data.keys():
        raise RecipeError.one(
            "this is a recipe and no sweep",
            f"`vlobj run {shown(path)}` trains it; a sweep begins with base: {path.name}",
            Place(shown(path)),
        )
    layered.put((), filled(document, {}, Sweep))
    sweep = typed(Sweep, layered)
    problems = list(_inconsistent(sweep, layered))
    base = None
    try:
        base = _base(sweep.base, path.parent)
    except RecipeError as error:
        problems += [_problem(layered, ("base",), one.what, one.hint) for one in error.problems]
    if base is None or problems:
        raise RecipeError(problems)
    return SweepFile(sweep, layered, path, base)


def _located(word: str | Path) -> Path:
    path = Path(word).expanduser()
    if path.suffix == ".yaml":
        if not path.is_file():
            raise RecipeError.one(
                f"there is no file {word}", f"{nearby(path) or 'correct the path'}; it counts from the working folder"
            )
        return path.resolve()
    if str(word) in names():
        return (folder() / "sweeps" / f"{word}.yaml").resolve()
    if str(word) in recipes():
        raise RecipeError.one(
            f"'{word}' is a recipe and no sweep", f"vlobj run {word}; a sweep is a file that begins with base: {word}"
        )
    if hint := nearby(path):
        raise RecipeError.one(f"there is no sweep '{word}'", hint)
    near = get_close_matches(str(word), names(), 1, 0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise RecipeError.one(
        f"there is no sweep '{word}'", f"{hint}a file ends in .yaml, and shipped are {', '.join(names()) or 'none'}"
    )


def _base(base: str, here: Path) -> Path:
    if not base.endswith(".yaml"):
        return find(base).resolve()
    path = (here / Path(base).expanduser()).resolve()
    if not path.is_file():
        raise RecipeError.one(f"there is no file {base}", f"`base` counts from {here}")
    return path


def _inconsistent(sweep: Sweep, layered: Layered) -> Iterator[Problem]:
    """What no single key shows."""
    if BASE in sweep.rows:
        yield _problem(
            layered,
            ("rows", BASE),
            f"'{BASE}' is the row that changes nothing",
            "give this row another name; what all rows change stands under `change`",
        )
    written = {("change",): sweep.change, ("grid",): sweep.grid}
    for path, changes in (written | {("rows", name): row for name, row in sweep.rows.items()}).items():
        if "seed" in changes:
            yield _problem(layered, (*path, "seed"), SEEDED, SEEDS)
    for place, seed in enumerate(sweep.seeds):
        if seed in sweep.seeds[:place]:
            yield _problem(
                layered,
                ("seeds", place),
                f"seed {seed} stands here twice",
                "keep one of the two: the same run twice is no second measurement",
            )


def _problem(layered: Layered, path: KeyPath, what: str, hint: str) -> Problem:
    spot = layered.spot(path)
    return Problem(spot.value if spot else None, dotted(path), what, hint)
