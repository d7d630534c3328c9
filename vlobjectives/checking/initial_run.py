"""Stage `capabilities`, its last part: the run that `init` names is there, and its weights fit."""

from pathlib import Path

import torch

from vlobjectives.data.data_module import DataModule
from vlobjectives.errors import RecipeError
from vlobjectives.recipe.report import Report
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.run_folder import has_checkpoint
from vlobjectives.system import assemble, warm_start

STAGE = "capabilities"


def begun(resolved: Resolved, made: DataModule, run: Path | None, report: Report) -> bool:
    """Whether a run could begin with those weights; no other run is asked for where one (`run`) goes on from a
    checkpoint."""
    loaded = resolved.loaded
    if loaded.recipe.init is None or has_checkpoint(run):
        return True
    try:
        found = warm_start.origin(resolved)
        assert found is not None  # the recipe names one
        with torch.device("meta"):
            fits = warm_start.fit(assemble.system(resolved, made), found.tensors("meta"))
    except RecipeError as error:
        return report.add(STAGE, error.problems)
    report.add(STAGE, warm_start.noted(fits, found, loaded, made.fields))
    return report.add(STAGE, warm_start.refused(fits, found, loaded))
