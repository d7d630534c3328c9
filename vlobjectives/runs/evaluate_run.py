"""Scores of a run's newest checkpoint, under evaluations that may differ from those of its recipe."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vlobjectives.checking import check
from vlobjectives.costs.out_of_memory import exhausted
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.errors import DataError, Place, RecipeError, ResourceError
from vlobjectives.evaluation.context import scored
from vlobjectives.evaluation.failures import Scored
from vlobjectives.files import is_file, unreadable
from vlobjectives.recipe import load
from vlobjectives.recipe.layers import COMMAND_LINE
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import taken_in
from vlobjectives.run_folder import RunFolder
from vlobjectives.runs import resume
from vlobjectives.runtime.distributed import World
from vlobjectives.runtime.log import Log
from vlobjectives.runtime.resources import out_of_memory
from vlobjectives.system import assemble, checkpoint

MAY_CHANGE = ("evaluate", "run.device", "run.precision", "data.workers")
"""What does not touch the system that was trained; so does not where its data lies."""


@dataclass(frozen=True)
class Rescored(Scored):
    """Scores by flat name, the step that they are of, the file in the run's eval/ that holds them, and what should be
    known of them: checkpoints that were passed over, a recipe that was edited."""

    step: int = 0
    path: Path | None = None
    warned: list[str] = field(default_factory=list)
    unwritten: ResourceError | None = None

    def refuse(self) -> None:
        """Raises Failed, and ResourceError where the file could not be written."""
        super().refuse()
        if self.unwritten:
            raise self.unwritten

    def as_data(self) -> dict[str, Any]:
        return super().as_data() | ({"step": self.step, "warnings": self.warned} if self.warned else {})


def evaluate(run: str, overrides: Sequence[str], splits: Sequence[str], registry: Registry, log: Log) -> Rescored:
    """Scores of a run's newest checkpoint; what fails is noted, and the others are there.

    Raises RecipeError for what is no run, an override that changes the system, or a split that is not there; DataError
    where there is no whole checkpoint, or what a field learned is no more what it was.
    """
    path = Path(run).expanduser().resolve()
    if not is_file(path / "recipe.yaml"):
        raise RecipeError.one(f"{run} is no run folder: it has no recipe.yaml", "name the folder that `vlobj run` made")
    loaded = taken_in(load(path, overrides), registry)
    resume.refuse_moved(overrides, loaded, registry, MAY_CHANGE)
    resolved, report = check(loaded, registry, trains=False)
    report.refuse()
    place = RunFolder(path)
    found, broken = checkpoint.newest(place.checkpoints)
    if found is None:
        why = "".join(f"; {line}" for line in broken)
        raise DataError(f"{run} has no whole checkpoint{why}", f"`vlobj run {run}` goes on with it")
    resolved = replace(resolved, world=World(size=place.processes()))  # what they saw together is judged together
    made = build_data(resolved, kept=place.fields)
    resume.refuse_other_data(place, made)
    made.fields.load(place.fields, place.manifest()["fields"])
    warned = [*broken, *resume.edited(place, registry)]
    _refuse_splits(splits, made)
    try:
        system = assemble.system(resolved, made)
        checkpoint.load_weights(system, found.folder)
        system.to(resolved.device)
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise exhausted(
            error,
            "memory ran out while the run was read",
            "run.device=cpu, or a machine with more",
            resolved,
            tuple(resolved.recipe.objectives),
            made=made,
        ) from error
    system.autocast = resolved.autocast
    given = scored(resolved, made, system, tuple(splits) or None, log)
    whole = Rescored(given.scores, given.failed, given.unusable, found.step, warned=warned)
    try:
        file = place.new("eval", f"step-{found.step:06d}-{time.strftime('%Y%m%d-%H%M%S')}", ".json")
        place.write(str(file.relative_to(path)), whole.as_data())
    except OSError as error:  # a run of somebody else's: its scores are worth showing
        return replace(whole, unwritten=unreadable(path / "eval", error, "written"))
    return replace(whole, path=file)


def _refuse_splits(splits: Sequence[str], made: DataModule) -> None:
    there = made.splits()
    for split in splits:
        if split not in there:
            raise RecipeError.one(
                f"the data has no split '{split}'", f"it has {', '.join(there)}", Place(COMMAND_LINE), "--split"
            )
