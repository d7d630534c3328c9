"""The Python API: a recipe's system for a loop of one's own, and a trained run to embed with."""

import warnings
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import torch

from vlobjectives.api.built_system import BuiltSystem
from vlobjectives.api.saving import Provenance
from vlobjectives.api.trained_model import TrainedModel
from vlobjectives.checking import check
from vlobjectives.checking.references import idle
from vlobjectives.data import fit_readers
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.errors import DataError, RecipeError
from vlobjectives.files import is_file
from vlobjectives.plugin_loading.attribution import an
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe import load as load_recipe
from vlobjectives.recipe.report import Report
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import taken_in
from vlobjectives.resolved.entries import names
from vlobjectives.resolved.resolved import Resolved, typed
from vlobjectives.run_folder import RunFolder, kept_fields
from vlobjectives.runs import resume
from vlobjectives.runtime import distributed
from vlobjectives.runtime.log import Log
from vlobjectives.system import assemble, checkpoint, warm_start

__all__ = ["BuiltSystem", "TrainedModel", "build", "load"]


def build(recipe: str | Path, *overrides: str, device: str = "cpu", trust: bool = False) -> BuiltSystem:
    """Build the system that a recipe describes, with readers fitted.

    Its weights are first ones, or those of its parts, or of `init`. The function checks what `vlobj check` does, and
    raises the same errors, all of VlobjError.

    Args:
        recipe: A file, a shipped recipe's name, or a run folder (its recipe; `load` brings its weights).
        *overrides: `key.path=value` as on the command line.
        device: Where the system is, as torch names it.
        trust: Whether to run the plug-in files that a run folder names, and to record that they are trusted.

    Returns:
        The system, with its data.

    Raises:
        RecipeError: The recipe cannot be run; it holds every problem found.
    """
    registry = Registry(trust=trust)
    resolved = _checked(recipe, overrides, registry, str(device))
    loaded = resolved.loaded
    try:
        begun = warm_start.origin(resolved)
        made = build_data(resolved, kept=kept_fields(loaded))
        fit_readers.fit(made, loaded.recipe.seed, Log(first=False), begun.learned(loaded.recipe) if begun else {})
        system = _built(resolved, made, device)
    except BuildError as error:
        raise RecipeError([loaded.problem(error.path, error.why, error.hint)]) from error
    if begun:
        warm_start.begin(system, begun, loaded)
        for line in begun.warned:
            warnings.warn(line, stacklevel=2)
    return system


def _checked(recipe: str | Path, overrides: Sequence[str], registry: Registry, device: str) -> Resolved:
    """The recipe resolved. Raises Refused where a check finds an error, but for the disk: nothing is written here.

    An objective that is taken out takes the evaluations along that name it, with a warning: none is made here. What
    fell away with another type, or with what null took away, is a warning too.
    """
    loaded = load_recipe(recipe, overrides)
    if more := idle(loaded, names(taken_in(loaded, registry), registry, Report())) if loaded.layered.gone else []:
        warnings.warn(f"left out, since they name what is taken away: {' '.join(more)}", stacklevel=3)
        loaded = load_recipe(recipe, [*overrides, *more])
    asked = loaded.recipe.run.device
    with torch.enable_grad(), distributed.alone():  # a check is every process's own
        resolved, report = check(loaded.replaced({("run", "device"): device}), registry)
    report.without("run.folder", "run.checkpoint").refuse()
    for note in resolved.loaded.layered.notes:
        warnings.warn(str(note), stacklevel=3)
    return resolved.changed(resolved.loaded.replaced({("run", "device"): asked}))


def load(run: str | Path, *overrides: str, device: str = "cpu", trust: bool = False) -> TrainedModel:
    """Load the newest checkpoint of a run.

    It comes without the run's data where the source can tell what it would give.

    Args:
        run: The run folder.
        *overrides: `data.KEY=PATH` where the data lies elsewhere than it did, for a source that must open it.
        device: Where the model is, as torch names it.
        trust: As in `build`.

    Returns:
        The trained model, in eval mode.

    Raises:
        RecipeError: The folder is no run, or something else would change.
        DataError: It has no checkpoint whose hashes hold, or other data.
    """
    if not isinstance(run, str | PathLike):
        raise RecipeError.one(f"a run is named by its folder, not by {an(run)}", "name what `vlobj run` printed")
    place = Path(run)
    if not is_file(place / "recipe.yaml"):
        raise RecipeError.one(
            f"{run} is no run folder: it has no recipe.yaml", "name the folder that `vlobj run` printed"
        )
    registry = Registry(trust=trust)
    loaded = taken_in(load_recipe(place, overrides), registry)
    resume.refuse_moved(overrides, loaded, registry)
    resolved = typed(loaded, registry, evaluations=False)
    found, broken = checkpoint.newest(place / "checkpoints")
    if found is None:
        raise DataError(
            f"{run} has no whole checkpoint" + "".join(f"; {line}" for line in broken),
            "train it: `vlobj run` with this folder goes on",
        )
    made = build_data(resolved, samples=False, kept=place / "fields")
    resume.refuse_other_data(RunFolder(place), made)
    made.fields.load(place / "fields", RunFolder(place).manifest()["fields"])
    for line in (*broken, *resume.edited(RunFolder(place), registry)):
        warnings.warn(f"{run}: {line}", stacklevel=2)
    system = _built(resolved, made, device, weights=False, digest=RunFolder(place).manifest()["data"])
    checkpoint.load_weights(system, found.folder)
    return TrainedModel(system.eval(), found.step)


def _built(
    resolved: Resolved, made: DataModule, device: str, weights: bool = True, digest: str | None = None
) -> BuiltSystem:
    system = assemble.system_of(BuiltSystem, resolved, made)
    if weights:
        assemble.load_weights(system)
    system.data_module, system.made_of = made, Provenance.of(resolved, digest)
    here = resolved.on(str(device))
    system.autocast = here.autocast
    return system.to(here.device)
