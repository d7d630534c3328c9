"""Scores of a run's newest checkpoint, under evaluations that may differ from those of its recipe."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlobjectives.errors import DataError, Place, RecipeError
from vlobjectives.recipe import load
from vlobjectives.recipe.layers import COMMAND_LINE
from vlobjectives.registry import Registry
from vlobjectives.running import assemble, checkpoint
from vlobjectives.running.checking import check
from vlobjectives.running.evaluating import scored
from vlobjectives.running.exhausted import exhausted
from vlobjectives.running.folder import RunFolder, scores_as_data
from vlobjectives.running.log import Log
from vlobjectives.running.means import KINDS, device_of, out_of_memory, precision_of
from vlobjectives.running.pieces import Pieces, pieces_of

MAY_CHANGE = ("evaluate", "run.device", "run.precision", "data.workers")
"""What does not touch the system that was trained."""


def evaluate(run: str, overrides: Sequence[str], splits: Sequence[str], registry: Registry,
             log: Log) -> tuple[dict[str, Any], int, Path]:
    """Scores by flat name, the step that they are of, and the file in the run's eval/ that holds them.

    Raises RecipeError for what is no run, an override that changes the system, or a split that is not there; DataError
    where there is no whole checkpoint.
    """
    path = Path(run).expanduser().resolve()
    if not (path / "recipe.yaml").is_file():
        raise RecipeError.one(f"{run} is no run folder: it has no recipe.yaml", "name the folder that `vlobj run` made")
    for text in overrides:
        key = text.partition("=")[0]
        if not any(key == may or key.startswith(f"{may}.") for may in MAY_CHANGE):
            raise RecipeError.one(f"{key} was settled when the run was trained", f"eval takes {', '.join(MAY_CHANGE)}",
                                  Place(COMMAND_LINE), key)
    loaded, report = check(load(path, overrides), registry, trains=False)
    report.refuse()
    recipe, place = loaded.recipe, RunFolder(path)
    found, broken = checkpoint.newest(place.checkpoints)
    for line in broken:
        log.say(line)
    if found is None:
        raise DataError(f"{run} has no whole checkpoint", f"`vlobj run {run}` goes on with it")
    device = device_of(recipe.run.device)
    made = pieces_of(recipe, registry)
    made.fields.load(place.fields)
    _refuse_splits(splits, made)
    try:
        system = assemble.system(recipe, registry, made)
        checkpoint.load_weights(system, found.folder)
        system.to(device)
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise exhausted(error, "memory ran out while the run was read", "run.device=cpu, or a machine with more",
                        recipe, registry, tuple(recipe.objectives), made=made) from error
    precision, _ = precision_of(recipe.run.precision, device)
    if precision in KINDS:
        system.autocast = (device.type, KINDS[precision])
    scores = scored(recipe, registry, made, system, tuple(splits) or None,
                    recipe.data.micro_batch or recipe.data.batch, device, log)
    name = f"eval/step-{found.step:06d}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    place.write(name, scores_as_data(scores))
    return scores, found.step, path / name


def _refuse_splits(splits: Sequence[str], made: Pieces) -> None:
    there = made.splits()
    for split in splits:
        if split not in there:
            raise RecipeError.one(f"the data has no split '{split}'", f"it has {', '.join(there)}", Place(COMMAND_LINE),
                                  "--split")
