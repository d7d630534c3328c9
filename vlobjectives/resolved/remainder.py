"""What is left of a recipe without the entries that are wrong, and without those that need them: what a check goes on
with, so that no mistake hides another."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from vlobjectives.errors import Problem
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.report import where
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.resolved.entries import SECTION, Named
from vlobjectives.resolved.resolved import Resolved

NAMED = ("fields", "model", "inputs", "masks", "pairings", "objectives", "trackers")


def rest(resolved: Resolved, problems: Iterable[Problem]) -> Resolved:
    """The recipe without the entries that problems are told of and what needs them.

    `resolved.entries` lacks what has no plug-in or no Config. An input whose own mask is gone stays, for its
    encoder's sake.
    """
    recipe, named, told = resolved.recipe, resolved.entries, {path[:2] for path in map(where, problems)}
    gone: set[KeyPath] = {
        (section, name)
        for section in NAMED
        for name in getattr(recipe, section)
        if (section, name) in told or (section != "inputs" and (section, name) not in named)
    }
    gone |= {path for path in named if path[:2] in told}
    wrong, before = frozenset(gone), -1
    while len(gone) != before:
        before = len(gone)
        gone |= {
            path
            for path, needs in _needs(recipe, named, wrong)
            if any(need in gone or need[1] not in getattr(recipe, need[0]) for need in needs)
        }
    kept = {path: one for path, one in named.items() if path not in gone}
    changes: dict[str, Any] = {"data": _data(recipe, named)}
    if recipe.balance is not None and (("balance",) not in kept or any(path[0] == "balance" for path in told)):
        kept.pop(("balance",), None)
        changes["balance"] = None
    for section in NAMED:
        changes[section] = {
            name: kept[section, name].entry if (section, name) in kept else entry
            for name, entry in getattr(recipe, section).items()
            if (section, name) not in gone
        }
    for name, entry in recipe.inputs.items():
        hard = {
            ("inputs", name) if ("inputs", name) in wrong else None,
            ("model", entry.part),
            *(("fields", field) for field in entry.fields),
        }
        if ("inputs", name) in gone and not hard & gone:
            changes["inputs"][name] = entry.model_copy(update={"mask": None})
    changes["inputs"] = {name: changes["inputs"][name] for name in recipe.inputs if name in changes["inputs"]}
    less = replace(resolved.loaded, recipe=recipe.model_copy(update=changes))
    return replace(resolved, loaded=less, entries=kept)


def _data(recipe: Recipe, named: Mapping[KeyPath, Named]) -> Any:
    """The sources as they were read: without options that could not be taken."""
    if recipe.data.mix:
        mix = {
            name: named["data", "mix", name].entry if ("data", "mix", name) in named else entry
            for name, entry in recipe.data.mix.items()
        }
        return recipe.data.model_copy(update={"mix": mix})
    return named["data",].entry if ("data",) in named else recipe.data


def _needs(
    recipe: Recipe, named: Mapping[KeyPath, Named], wrong: Collection[KeyPath]
) -> Iterator[tuple[KeyPath, list[tuple[str, str]]]]:
    """Every entry with the (section, name) of all that it cannot do without."""
    for path, one in named.items():
        needs = [
            (section, name)
            for kind, section in SECTION.items()
            for name in one.config.named(kind).values()
            if kind != "field" or name in recipe.fields
        ]
        if one.kind == "part":  # an encoder reads the fields of its inputs
            read = {name: entry for name, entry in recipe.inputs.items() if entry.part == path[1]}
            needs += [("inputs", name) for name in read if ("inputs", name) in wrong]
            needs += [("fields", field) for entry in read.values() for field in entry.fields if field in recipe.fields]
        yield path, needs
    for name, entry in recipe.inputs.items():
        fields = [("fields", field) for field in entry.fields if field in recipe.fields]
        yield ("inputs", name), [("model", entry.part), *fields, *([("masks", entry.mask)] if entry.mask else [])]
    for name, field in recipe.fields.items():
        yield (
            ("fields", name),
            [("fields", other) for other in (field.with_, field.of) if other in recipe.fields and other != name],
        )
