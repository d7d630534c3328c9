"""Loading a recipe: layers, overrides, defaults, absolute paths, validation."""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from vlobjectives.errors import Place, Problem, RecipeError
from vlobjectives.files import is_file
from vlobjectives.recipe import lists
from vlobjectives.recipe import overrides as _overrides
from vlobjectives.recipe.known_keys import is_entry
from vlobjectives.recipe.layers import Layered, layer, shown
from vlobjectives.recipe.model import DataEntry, Recipe
from vlobjectives.recipe.recipes import find, locate
from vlobjectives.recipe.schema import prepared, typed, validated
from vlobjectives.recipe.yaml import KeyPath, dotted


@dataclass(frozen=True)
class Loaded:
    """A valid recipe, and where each of its values was written.

    problems  what is wrong with keys and types, where that was taken out of the recipe instead of raised
    """

    recipe: Recipe
    layered: Layered
    path: Path
    problems: tuple[Problem, ...] = ()

    def place(self, *path: str | int, key: bool = False) -> Place | None:
        """Where the value at a key path was written (with `key`: the key), or the nearest thing above it."""
        spot = self.layered.spot(path)
        return spot and (spot.key if key else spot.value)

    def problem(self, path: KeyPath, what: str, hint: str, note: bool = False, key: bool = False) -> Problem:
        """A Problem at a key path."""
        return Problem(self.place(*path, key=key), dotted(path), what, hint, note)

    def own(self, *path: str | int) -> bool:
        """Whether it is the user who wrote this, or named the file that says so, and not a run folder."""
        spot = self.layered.spot(path)
        return spot is None or spot.value.file not in self.layered.runs

    def base(self, *path: str | int) -> Path:
        """The folder that a relative path written there counts from."""
        return self.layered.base(path)

    def replaced(self, values: Mapping[KeyPath, Any]) -> "Loaded":
        """The same recipe with other values, such as defaults that follow from others or paths made absolute.

        Raises RecipeError as loading does. What lies above each value exists.
        """
        layered = replace(self.layered, data=deepcopy(self.layered.data))
        for path, value in values.items():
            layered.at(path[:-1])[path[-1]] = value
        return self._of(layered)

    def without(self, paths: Iterable[KeyPath], notes: Iterable[Problem]) -> "Loaded":
        """The same recipe without some keys, and with notes that say so."""
        before = self.layered
        layered = replace(
            before,
            data=deepcopy(before.data),
            spots=dict(before.spots),
            gone=dict(before.gone),
            nulls=dict(before.nulls),
            retyped=dict(before.retyped),
            notes=[*before.notes, *notes],
        )
        for path in paths:
            layered.take_away(path, layered.spots[path].value)
            above = path[:-1]  # what is left of a mapping may be of another file
            left = [layered.spots[(*above, key)] for key in layered.at(above)]
            if left and not is_entry(above) and layered.spots[above].value.file not in {one.value.file for one in left}:
                layered.spots[above] = left[0]
        return self._of(layered)

    def _of(self, layered: Layered) -> "Loaded":
        recipe = typed(Recipe, layered) if self.problems else validated(layered)
        return Loaded(recipe, layered, self.path, self.problems)


def load(recipe: str | Path, overrides: Iterable[str | _overrides.Change] = (), check: bool = False) -> Loaded:
    """A recipe by file, run folder or shipped name, under overrides `key.path=value` or changes.

    Raises RecipeError with every problem of keys and types, which `check` takes out and keeps, so that the rest can be
    checked. What needs plug-ins is checked later.
    """
    path = locate(recipe)
    told: list[Problem] | None = [] if check else None
    try:
        layered = layer(path, find, run=path.name == "recipe.yaml" and Path(recipe).suffix != ".yaml")
        _overrides.apply(layered, overrides, told)
        lists.without_gone(layered)
        _spread(layered)
        layered.data = prepared(layered.data)
        _settle(layered, path)
        made = validated(layered, told)
        return Loaded(made, layered, path.resolve(), tuple(told or ()))
    except RecipeError as error:
        place = Place(shown(path))
        if not is_file(path.with_name("manifest.json")) or not any(
            problem.place and problem.place.file == place.file for problem in error.problems
        ):
            raise
        raise RecipeError(
            [
                *error.problems,
                Problem(
                    place,
                    "",
                    "this is the recipe of a run, which was written whole: it has been cut or edited",
                    "put it back from a copy; manifest.json beside it holds it as it was, under `recipe`",
                ),
            ]
        ) from error


def _spread(layered: Layered) -> None:
    """Gives each source of data.mix the options that stand beside the mix, unless it is of another type."""
    data = layered.data.get("data")
    if not isinstance(data, dict) or not isinstance(mix := data.get("mix"), dict):
        return
    own = [key for key in data if key == "type" or key not in DataEntry.model_fields]
    takers = [
        name
        for name, entry in mix.items()
        if isinstance(entry, dict) and ("type" not in data or entry.get("type", data["type"]) == data["type"])
    ]
    for name in takers:
        for key in own:
            if key not in mix[name]:
                mix[name][key] = deepcopy(data[key])
                for known in cast(tuple[dict[KeyPath, Any], ...], (layered.spots, layered.nulls)):
                    beside = [(path, place) for path, place in known.items() if path[:2] == ("data", key)]
                    known |= {("data", "mix", name, *path[1:]): place for path, place in beside}
        if ("data",) in layered.retyped:
            layered.retyped.setdefault(("data", "mix", name), layered.retyped["data",])
    for key in own if takers else ():
        del data[key]
    place = layered.spots["data", "mix"].value
    idle = [] if takers else [key for key in own if key != "type" and layered.inherited(("data", key), place)]
    if idle:
        below = ", ".join(f"{key} ({layered.spots['data', key].value})" for key in idle)
        what = f"no source of the mix is of type {data.get('type')}, and what stands beside it falls away: {below}"
        hint = f"leave `type` out of a source that is to take {', '.join(idle)}"
        layered.notes.append(Problem(place, "data.mix", what, hint, note=True))
    for key in idle:
        layered.take_away(("data", key), layered.spots["data", key].value)


def _settle(layered: Layered, path: Path) -> None:
    """Makes the host's own paths absolute and names the run after the recipe."""
    data = layered.data
    if isinstance(data.get("init"), str):
        data["init"] = _absolute(layered, ("init",))
    if isinstance(data.get("plugins"), list):
        data["plugins"] = [
            _absolute(layered, ("plugins", number)) if isinstance(item, str) else item
            for number, item in enumerate(data["plugins"])
        ]
    if isinstance(run := data.get("run"), dict):
        run.setdefault("folder", "runs")
        run.setdefault("name", re.sub(r"[^A-Za-z0-9_.-]|^[.-]", "_", path.stem))
        if isinstance(run["folder"], str):
            written = ("run", "folder") in layered.spots
            run["folder"] = _absolute(layered, ("run", "folder")) if written else str(Path.cwd() / "runs")


def _absolute(layered: Layered, path: KeyPath) -> str:
    return str((layered.base(path) / Path(layered.at(path)).expanduser()).resolve())
