"""What a run folder is to a run that a sweep wants: finished, begun, or another run."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

from vlobjectives.errors import DataError, RecipeError
from vlobjectives.recipe import Recipe, dump, load
from vlobjectives.recipe.yaml import parse
from vlobjectives.run_folder import FAILED, RunFolder
from vlobjectives.runs import plugin_copies

State = Literal["new", "begun", "finished", "other"]
Plugins = Sequence[Mapping[str, str]]


def digest(recipe: Recipe, plugins: Plugins, files: Mapping[str, str], scored: bool = True) -> str:
    """Hash of a resolved recipe, of the versions of its plug-ins and of the local plug-in files.

    Where a run lies and what it is called is no part of it. scored  False: nor what is evaluated, and by whom
    """
    data = parse(dump(recipe), "recipe").data
    for key in ("name", "folder"):
        data["run"].pop(key, None)
    data.pop("plugins", None)  # what these files hold stands beside, wherever they lie
    if not scored:
        data.pop("evaluate", None)
        plugins = [one for one in plugins if one["kind"] != "evaluation"]
    versions = sorted([one["kind"], one["name"], one["package"], one["version"]] for one in plugins)
    held = sorted(plugin_copies.numbered(files).items())
    return hashlib.sha256(json.dumps([data, versions, held], sort_keys=True).encode()).hexdigest()


def state(place: Path, recipe: Recipe, plugins: Plugins, files: Mapping[str, str]) -> State:
    """What lies at a run's place: nothing, the run itself (whole or not), or a run of another recipe or version.

    A run that differs in what is evaluated alone has begun: going on with it gives its scores. Raises DataError where
    one that took steps does not say what it is: it is not trained anew unasked.
    """
    if not place.exists():
        return "new"
    run = RunFolder(place)
    try:
        there = load(place).recipe
        was = run.manifest() if run.has("manifest.json") else {}
    except RecipeError:
        return "other"
    except DataError:
        if run.stepped:
            raise
        return "other"
    plugins_were, files_were = was.get("plugins", plugins), was.get("plugin_files", files)
    if whole(run) and digest(there, plugins_were, files_were) == digest(recipe, plugins, files):
        return "finished"
    same = digest(there, plugins_were, files_were, scored=False) == digest(recipe, plugins, files, scored=False)
    return "begun" if same else "other"


def whole(run: RunFolder) -> bool:
    """Whether all of a run's scores are there."""
    with suppress(DataError):  # damaged: going on with the run computes them again
        return run.has("summary.json") and not run.has(FAILED) and isinstance(run.read("summary.json"), dict)
    return False


def set_aside(place: Path) -> Path:
    """Gives a folder another name beside its old one, nothing in it lost."""
    number = 1
    while (aside := place.with_name(f"{place.name}.before-{number}")).exists():
        number += 1
    return place.rename(aside)
