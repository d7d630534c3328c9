"""Stage `capabilities`, its last part: the run that `init` names is there, and its weights fit."""

from pathlib import Path

import torch

from vlobjectives.errors import RecipeError
from vlobjectives.recipe.checks import Report
from vlobjectives.recipe.loading import Loaded
from vlobjectives.registry import Registry
from vlobjectives.running import assemble, initial
from vlobjectives.running.pieces import Pieces

STAGE = "capabilities"


def begun(loaded: Loaded, registry: Registry, made: Pieces, place: Path | None, report: Report) -> bool:
    """Whether a run could begin with those weights; no other run is asked for where one goes on from a checkpoint.

    place  the run folder to be; by default the one that the recipe lies in, if it lies in one
    """
    if loaded.recipe.init is None or any((place or loaded.path.parent).glob("checkpoints/step-*")):
        return True
    try:
        found = initial.origin(loaded, registry)
        assert found is not None  # the recipe names one
        with torch.device("meta"):
            fits = initial.fit(assemble.system(loaded.recipe, registry, made), found.tensors("meta"))
    except RecipeError as error:
        return report.add(STAGE, error.problems)
    report.add(STAGE, initial.noted(fits, found, loaded, made.fields))
    return report.add(STAGE, initial.refused(fits, found, loaded))
