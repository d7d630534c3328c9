"""What a command line asks for: which recipe, in which folder, begun or gone on with; checked before anything runs."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vlobjectives.checking import check
from vlobjectives.errors import RecipeError, ResourceError
from vlobjectives.files import numbered
from vlobjectives.recipe import Loaded
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import Resolved, resolve
from vlobjectives.resolved.tiny import tiny
from vlobjectives.runtime import distributed


@dataclass(frozen=True)
class RunOrder:
    """What was asked for.

    recipe    a file, a shipped recipe's name or a run folder, which means to go on with that run; `loaded` from it
    out       the run folder; None: a new one under run.folder, or the run folder that `recipe` is
    resume    with `out`: go on if there is a run, else start one
    """

    recipe: str
    loaded: Loaded
    tiny: bool = False
    out: Path | None = None
    resume: bool = False


@dataclass(frozen=True)
class ReadyRun:
    """A checked recipe, its folder, whether the run goes on there, and whether the folder was made for it, empty."""

    resolved: Resolved
    place: Path
    going_on: bool
    new: bool = False

    def leave(self) -> None:
        """Takes the folder that was made for a run away again, if nothing came into it."""
        with suppress(OSError):
            if self.new:
                self.place.rmdir()


def ready(order: RunOrder, registry: Registry, processes: int, checked: bool, say: Callable[[str], None]) -> ReadyRun:
    """Everything that is decided before a run. Raises Refused where a check finds an error.

    checked  the process that started this one has checked, and said what there was to say
    say      is told that the run is tiny, then the checks' notes
    """
    run = _run_folder(order.recipe)
    _refuse_contradictions(order, run)
    loaded = order.loaded
    if order.tiny:
        loaded, said = tiny(loaded, registry, processes)
        if not checked:
            say(said)
    place = run or (order.out.expanduser().resolve() if order.out else _place(loaded))
    going_on = run is not None or (order.resume and (place / "recipe.yaml").is_file())
    if checked:
        return ReadyRun(resolve(loaded, registry), place, going_on)
    resolved, report = check(loaded, registry, processes, place=place)
    for note in report.notes:
        say(str(note))
    report.refuse()
    new = run is None and order.out is None
    return ReadyRun(resolved, _made(place) if new else place, going_on, new)


def _run_folder(recipe: str) -> Path | None:
    """The run folder that a word means, if it means one."""
    path = Path(recipe).expanduser()
    return path.resolve() if path.suffix != ".yaml" and (path / "recipe.yaml").is_file() else None


def _refuse_contradictions(order: RunOrder, run: Path | None) -> None:
    if run is not None and order.tiny:
        raise RecipeError.one(
            f"{order.recipe} is a run, which --tiny cannot change", "leave out --tiny, or name a recipe"
        )
    if run is not None and order.out is not None and order.out.expanduser().resolve() != run:
        raise RecipeError.one(
            f"{order.recipe} is a run and goes on in its own folder, not in {order.out}",
            f"for a run beside it: vlobj run {order.recipe}/recipe.yaml --out {order.out}",
        )
    if run is None and order.out is None and order.resume:
        raise RecipeError.one(
            "--resume needs the folder to go on in", "add --out DIR, or name the run folder in place of the recipe"
        )
    if run is None and order.out is None and distributed.world().size > 1:
        raise RecipeError.one(
            "several processes must agree on the run folder", "add --out DIR, or start them with --nproc"
        )


def _place(loaded: Loaded) -> Path:
    """The folder of a new run under run.folder, named by recipe and time; somebody else may have it already."""
    return Path(loaded.recipe.run.folder) / f"{loaded.recipe.run.name}-{time.strftime('%Y%m%d-%H%M%S')}"


def _made(place: Path) -> Path:
    """A new empty folder of that name, with a number where others have it: of two runs of one second each has its
    own."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        for path in numbered(place.parent, place.name):
            with suppress(FileExistsError):
                path.mkdir()
                return path
    except OSError as error:
        raise ResourceError(f"{place} cannot be made: {error.strerror}", "name another folder with --out") from error
    raise AssertionError("numbers do not end")
