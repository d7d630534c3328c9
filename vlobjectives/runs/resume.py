"""Going on with a run: what may change, what must not, and what is noted when it does all the same."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from vlobjectives.contracts.source import Source
from vlobjectives.data.data_module import DataModule
from vlobjectives.errors import DataError, Place, Problem, RecipeError
from vlobjectives.files import refuse_links
from vlobjectives.recipe import Loaded, Recipe, dump, load
from vlobjectives.recipe.layers import COMMAND_LINE
from vlobjectives.recipe.renamed import renewed_data, renewed_name
from vlobjectives.recipe.yaml import KeyPath, parse
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import data_paths
from vlobjectives.run_folder import RunFolder
from vlobjectives.runs import plugin_copies

FREE = ("run.steps", "run.checkpoint", "evaluate", "trackers")
"""What a resumed run may change; so may the number of its processes."""
NO_MATTER = ("run.name", "run.folder", "plugins")
"""Where another run would be made, and where plug-in files lie (what they hold the manifest knows)."""
ABSENT = "nothing"
OWN = "vlobjectives"
"""The distribution of this library and of the plug-ins that it brings."""


def as_noted(place: RunFolder, tell: Callable[[str], None]) -> Recipe:
    """The recipe of a run as it was noted last, by its manifest; recipe.yaml may have been edited since. Of older runs,
    whose manifest does not hold it, recipe.yaml; `tell` is told where the manifest's is none of this version."""
    refuse_links(place.path)
    noted = place.manifest()["recipe"]
    try:
        if noted is not None:
            return Recipe.model_validate_json(json.dumps(renewed_data(noted)), strict=True)
    except ValidationError as error:
        wrong = error.errors()[0]
        tell(
            f"the recipe in manifest.json is none of this version ({'.'.join(map(str, wrong['loc']))}: "
            f"{wrong['msg']}): recipe.yaml counts, and whether it was edited since cannot be told"
        )
    return load(place.path).recipe


def edited(place: RunFolder, registry: Registry) -> list[str]:
    """Lines on what recipe.yaml, and plug-in files, say otherwise than the run was made by."""
    recipe = load(place.path).recipe
    lines: list[str] = []
    before = as_noted(place, lines.append)
    files, was = plugin_copies.digests(recipe, registry), plugin_copies.numbered(place.manifest()["plugin_files"])
    return [
        *lines,
        *(
            f"recipe.yaml was edited: {path} {changed(old, new)}"
            for path, old, new in _changed(before, recipe)
            if not _under(path, NO_MATTER)
        ),
        *(
            f"the plug-in file {name} is not what the run was made with"
            for name in sorted(files.keys() | was)
            if files.get(name) != was.get(name)
        ),
    ]


def settled(loaded: Loaded, processes: int, before: Recipe | None = None) -> Loaded:
    """The recipe with the groups of pairings written out, so that any number of processes draws the same partners.

    A pairing without a group has that of the run which goes on (`before`), else a micro-batch.
    """
    recipe = loaded.recipe
    groups: dict[KeyPath, int] = {}
    for name, entry in recipe.pairings.items():
        if entry.group is None:
            old = before.pairings.get(name) if before else None
            groups["pairings", name, "group"] = (old and old.group) or recipe.data.rows(processes)
    return loaded.replaced(groups) if groups else loaded


def differences(
    loaded: Loaded, before: Recipe, manifest: Mapping[str, Any], was: Mapping[str, Any], free: Collection[str] = ()
) -> list[Problem]:
    """What a resumed run may not change without --accept-changes: recipe, data, plug-ins, what readers learned.

    manifest  of the run as it would be now
    was       manifest of the run as it began
    free      options that may change: they say where data lies, and whether it is the same its digest tells
    """
    hint = "take it back, or take the change with --accept-changes, which the run's manifest notes"
    found = [
        loaded.problem(tuple(path.split(".")), changed(old, new), hint)
        for path, old, new in _changed(before, loaded.recipe)
        if not _under(path, (*FREE, *NO_MATTER)) and not any(_under(one, (path,)) for one in free)
    ]
    here = Place("manifest.json")
    for what, old, new in _manifests_changed(was, manifest):
        if not _upgraded(what, old, new):
            found.append(Problem(here, what, changed(old, new), hint))
    return found


def _upgraded(what: str, old: Any, new: Any) -> bool:
    """Whether all that changed is the release of this library: its plug-ins keep what runs of earlier ones computed, so
    the run is gone on with, and its manifest notes the change."""
    return what.startswith("plugins.") and all(str(one).split(" ")[0] == OWN for one in (old, new))


def refuse_moved(overrides: Sequence[str], loaded: Loaded, registry: Registry, may: Sequence[str] = ()) -> None:
    """Raises RecipeError for an override of a run's recipe, other than of what `may` change and where its data lies."""
    lies = data_paths(loaded.recipe, registry) | data_paths(load(loaded.path).recipe, registry)
    for text in overrides:
        key = renewed_name(text.partition("=")[0])
        if not _under(key, tuple(may)) and not any(_under(one, (key,)) for one in lies):
            here = sorted(lies)
            raise RecipeError.one(
                f"{key} was settled when the run was trained",
                f"what may change: {', '.join([*may, *here]) or 'nothing of this run'}",
                Place(COMMAND_LINE),
                key,
            )


def refuse_other_data(place: RunFolder, made: DataModule) -> None:
    """Raises DataError where the data at hand is not that of the run; where it lies does not matter."""
    was = place.manifest()["data"]
    if (
        was is not None
        and all(isinstance(feed.source, Source) for feed in made.feeds.values())
        and was != (now := made.digest())
    ):
        raise DataError(
            f"this is not the data of the run: its digest {changed(was, now)}",
            "name the same data where it lies now (data.KEY=PATH), or go on with the run on this data: "
            f"vlobj run {place.path} --accept-changes",
            Place(str(place.path)),
        )


def changed(old: Any, new: Any) -> str:
    return f"was {_shown(old)} in this run and is {_shown(new)} now"


def refuse(
    loaded: Loaded,
    before: Recipe,
    manifest: Mapping[str, Any],
    was: Mapping[str, Any],
    done: int,
    accepted: bool,
    free: Collection[str] = (),
) -> None:
    """Raises RecipeError with all differences, if they are not accepted, or for a run that would end before it is."""
    problems = [] if accepted else differences(loaded, before, manifest, was, free)
    if done > loaded.recipe.run.steps:
        problems.append(
            loaded.problem(
                ("run", "steps"),
                f"the run has {done} steps behind it, more than {loaded.recipe.run.steps}",
                f"give run.steps of {done} at least",
            )
        )
    if problems:
        raise RecipeError(problems)


def note(
    place: RunFolder,
    loaded: Loaded,
    before: Recipe,
    manifest: Mapping[str, Any],
    start: Mapping[str, Any],
    registry: Registry,
) -> list[str]:
    """Notes a start and every change in the manifest and writes the recipe as it goes on; a line for each change.

    The manifest then holds the versions and hashes of now: a change is accepted once.
    """
    was = place.manifest()
    changes = [(path, old, new) for path, old, new in _changed(before, loaded.recipe) if not _under(path, NO_MATTER)]
    changes += _manifests_changed(was, manifest)
    noted = [
        {"time": start["time"], "after_step": start["after_step"], "what": path, "old": old, "new": new}
        for path, old, new in changes
    ]
    if changes:
        plugin_copies.keep(place.path, loaded.recipe, registry)
        place.write_text("recipe.yaml", dump(plugin_copies.naming_copies(loaded.recipe)))
    begun = {"init": was["init"]} if "init" in was else {}
    place.write(
        "manifest.json",
        {
            **begun,
            **(manifest if changes else was),
            "git": was["git"],
            "recipe": manifest["recipe"],
            "started": was["started"],
            "starts": [*was["starts"], start],
            "changes": [*was["changes"], *noted],
        },
    )
    return [f"{path} {changed(old, new)}" for path, old, new in changes]


def _manifests_changed(was: Mapping[str, Any], now_: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    found = [("data", was.get("data"), now_["data"])] if was.get("data") != now_["data"] else []
    for what in ("fields", "plugin_files"):
        old, new = plugin_copies.numbered(was.get(what, {})), now_[what]
        found += [
            (f"{what}.{key}", old.get(key), new.get(key))
            for key in sorted({*old, *new})
            if old.get(key) != new.get(key)
        ]
    if "init" in now_ and was.get("init") != now_["init"]:
        found.append(("init", was.get("init"), now_["init"]))
    old, new = _versions(was.get("plugins", [])), _versions(now_["plugins"])
    return found + [
        (f"plugins.{key}", old[key], new[key]) for key in sorted(old.keys() & new.keys()) if old[key] != new[key]
    ]


def _versions(plugins: list[Mapping[str, str]]) -> dict[str, str]:
    """A plug-in that the recipe names now and did not, or the other way, is a difference of the recipe."""
    return {f"{one['kind']}:{one['name']}": f"{one['package']} {one['version']}" for one in plugins}


def _changed(before: Recipe, after: Recipe) -> list[tuple[str, Any, Any]]:
    """(dotted path, old value, new value) of every leaf that differs; a list is a leaf."""
    old, new = (dict(_leaves(parse(dump(recipe), "recipe").data)) for recipe in (before, after))
    return [
        (path, old.get(path, ABSENT), new.get(path, ABSENT))
        for path in sorted({*old, *new})
        if old.get(path, ABSENT) != new.get(path, ABSENT)
    ]


def _leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict) and data:
        for key, value in data.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path, data


def _under(path: str, tops: tuple[str, ...]) -> bool:
    return any(path == top or path.startswith(f"{top}.") for top in tops)


def _shown(value: Any) -> str:
    text = value if value == ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
