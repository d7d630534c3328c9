"""Stage `references`: what a recipe names is defined; what it defines and nobody names is a note."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from vlobjectives.errors import Problem, RecipeError
from vlobjectives.recipe import recipes
from vlobjectives.recipe.checks_names import Named
from vlobjectives.recipe.dump import dump_data
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.schema import DEFAULT_INPUTS
from vlobjectives.recipe.yaml import KeyPath, read

SECTION = {"input": "inputs", "mask": "masks", "pairing": "pairings", "part": "model", "objective": "objectives",
           "field": "fields"}
WIDEST = 110
"""Characters of an example line; a longer one helps nobody in a message."""


def references(loaded: Loaded, named: Mapping[KeyPath, Named]) -> Iterator[Problem]:
    """What is named and not defined. Fields may be columns of the source, which stage `data` knows."""
    recipe = loaded.recipe
    for path, one in named.items():
        for kind in ("input", "mask", "pairing", "part", "objective"):
            for field, name in one.config.named(kind).items():
                if name not in getattr(recipe, SECTION[kind]):
                    yield _missing(loaded, (*path, field), kind, name, field not in one.entry.options)
    for name, entry in recipe.inputs.items():
        if entry.part not in recipe.model:
            yield _missing(loaded, ("inputs", name, "part"), "part", entry.part)
        if entry.mask is not None and entry.mask not in recipe.masks:
            yield _missing(loaded, ("inputs", name, "mask"), "mask", entry.mask)
    order = list(recipe.fields)
    for name, entry in recipe.fields.items():
        if entry.with_ is not None and entry.with_ not in recipe.fields:
            yield _missing(loaded, ("fields", name, "with"), "field", entry.with_)
        elif entry.with_ is not None and order.index(entry.with_) >= order.index(name):
            yield loaded.problem(("fields", name, "with"), f"the field '{entry.with_}' is read after '{name}'",
                                 f"put '{entry.with_}' above it")
    for number, group in enumerate(recipe.plan.authors):
        for place, name in enumerate(group):
            if name not in recipe.objectives:
                yield _missing(loaded, ("plan", "authors", number, place), "objective", name)
    for number, name in enumerate(recipe.plan.checkpoint):
        if name not in recipe.model:
            yield _missing(loaded, ("plan", "checkpoint", number), "part", name)


def unused(loaded: Loaded, named: Mapping[KeyPath, Named]) -> Iterator[Problem]:
    """Notes on what is defined and not named: ablations switch things off, so that this is no error."""
    recipe = loaded.recipe
    used = {kind: {name for one in named.values() for name in one.config.named(kind).values()} for kind in SECTION}
    used["part"] |= {entry.part for entry in recipe.inputs.values()}
    used["mask"] |= {entry.mask for entry in recipe.inputs.values() if entry.mask}
    used["field"] |= {field for entry in recipe.inputs.values() for field in entry.fields}
    used["field"] |= {entry.with_ for entry in recipe.fields.values() if entry.with_}
    for kind in ("mask", "pairing", "part", "field", "input"):
        for name in getattr(recipe, SECTION[kind]):
            written = (SECTION[kind], name) in loaded.layered.spots
            if written and name not in used[kind]:
                yield loaded.problem((SECTION[kind], name), f"the {kind} '{name}' is named nowhere",
                                     "leave it out, or name it where it is meant to work", note=True, key=True)
    for name, entry in recipe.masks.items():
        shared = [other for other, one in recipe.masks.items() if (one.stream or other) == entry.stream]
        if entry.stream is not None and shared == [name]:
            yield loaded.problem(("masks", name, "stream"), f"no other mask has the random stream '{entry.stream}'",
                                 f"masks: {', '.join(recipe.masks)}", note=True)


def _missing(loaded: Loaded, path: KeyPath, kind: str, name: str, default: bool = False) -> Problem:
    """Something named and not defined, with the nearest name or the line that would define it."""
    section = SECTION[kind]
    defined = list(getattr(loaded.recipe, section))
    what = f"there is no {kind} '{name}' in this recipe" + (f" (what `{path[-1]}` is by default)" if default else "")
    return loaded.problem(path, what, "; or ".join(_mends(section, kind, name, defined)))


def _mends(section: str, kind: str, name: str, defined: list[str]) -> Iterator[str]:
    near = get_close_matches(name, defined, 1)
    if near:
        yield f"did you mean '{near[0]}'?"
    if kind == "input" and name in DEFAULT_INPUTS:
        section, name = "model", DEFAULT_INPUTS[name]["part"]
    line = example(section, name)
    if line:
        yield f"add under {section}: {line}"
    elif not near:
        yield f"define it under {section}" + (f", where there are {', '.join(defined)}" if defined else "")


def example(section: str, name: str) -> str:
    """The line of a shipped recipe that defines this name in this section; empty if there is none that is short."""
    for recipe in recipes.names():
        try:
            data = read(recipes.find(recipe)).data
        except RecipeError:  # a shipped recipe that is being changed by hand: no help, and no harm
            continue
        entries = data.get(section)
        if isinstance(entries, dict) and isinstance(entries.get(name), dict):
            line = dump_data({name: entries[name]}).strip()
            if "\n" not in line and len(line) <= WIDEST:
                return line
    return ""
