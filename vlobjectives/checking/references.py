"""Stage `references`: what a recipe names is defined; what it defines and nobody names is a note."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches

from vlobjectives.errors import Problem, RecipeError
from vlobjectives.recipe import recipes
from vlobjectives.recipe.dump import dump_data
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.report import Report
from vlobjectives.recipe.schema import DEFAULT_INPUTS
from vlobjectives.recipe.yaml import KeyPath, dotted, read
from vlobjectives.resolved.entries import SECTION, Named
from vlobjectives.resolved.removed import beside_the_system, taken_out

WIDEST = 110
"""Characters of an example line; a longer one helps nobody in a message."""


def references(loaded: Loaded, named: Mapping[KeyPath, Named], report: Report) -> Iterator[Problem]:
    """What is named and not defined. Fields may be columns of the source, which stage `data` knows. What is defined
    and wrong is told by itself."""
    recipe = loaded.recipe
    missing: dict[tuple[str, str], list[tuple[KeyPath, bool]]] = {}
    gone, problem = taken_out(loaded, named, _named(recipe, named))
    yield from (problem,) if problem else ()
    for path, kind, name, default in _named(recipe, named):
        if path[:2] == ("plan", "published") and name not in recipe.objectives:
            yield from _unpublished(loaded, path, name, gone)
        elif (
            name not in getattr(recipe, SECTION[kind])
            and (SECTION[kind], name) not in gone
            and not report.wrong(SECTION[kind], name)
        ):
            missing.setdefault((kind, name), []).append((path, default))
    for (kind, name), places in missing.items():
        part = DEFAULT_INPUTS[name]["part"] if kind == "input" and name in DEFAULT_INPUTS else None
        if part is None or ("part", part) not in missing:  # a default input is missing because its encoder is
            yield _missing(loaded, kind, name, places)
    order = list(recipe.fields)
    for name, entry in recipe.fields.items():
        if entry.with_ in recipe.fields and order.index(entry.with_) >= order.index(name):
            yield loaded.problem(
                ("fields", name, "with"),
                f"the field '{entry.with_}' is read after '{name}'",
                f"put '{entry.with_}' above it",
            )


def idle(loaded: Loaded, named: Mapping[KeyPath, Named]) -> list[str]:
    """Overrides that take evaluations and the like away which name what was taken out of the system."""
    return beside_the_system(loaded, named, _named(loaded.recipe, named))


def _unpublished(loaded: Loaded, path: KeyPath, name: str, gone: Collection[KeyPath]) -> Iterator[Problem]:
    """A note on a published schedule that names what the recipe does not train: it stops nothing."""
    if ("objectives", name) in gone:
        return
    near = get_close_matches(name, list(loaded.recipe.objectives), 1)
    yield loaded.problem(
        path,
        f"there is no objective '{name}' in this recipe; the published schedule is shown without it",
        (f"did you mean '{near[0]}'? " if near else "") + "Nothing, if it was taken out on purpose",
        note=True,
    )


def _named(recipe: Recipe, named: Mapping[KeyPath, Named]) -> Iterator[tuple[KeyPath, str, str, bool]]:
    """Everything that names something else: where, the kind, the name, and whether nobody wrote it (a default)."""
    for path, one in named.items():
        for kind in ("input", "mask", "pairing", "part", "objective"):
            for place, name in one.config.places(kind).items():
                yield (*path, *place), kind, name, place[0] not in one.entry.options
    for name, entry in recipe.inputs.items():
        yield ("inputs", name, "part"), "part", entry.part, False
        if entry.mask is not None:
            yield ("inputs", name, "mask"), "mask", entry.mask, False
    for name, field in recipe.fields.items():
        if field.with_ is not None:
            yield ("fields", name, "with"), "field", field.with_, False
    for number, group in enumerate(recipe.plan.published):
        for member, name in enumerate(group):
            yield ("plan", "published", number, member), "objective", name, False
    for number, name in enumerate(recipe.plan.checkpoint):
        yield ("plan", "checkpoint", number), "part", name, False


def unused(loaded: Loaded, named: Mapping[KeyPath, Named]) -> Iterator[Problem]:
    """Notes on what is defined and not named: ablations switch things off, so that this is no error."""
    recipe = loaded.recipe
    used = {kind: {name for one in named.values() for name in one.config.named(kind).values()} for kind in SECTION}
    used["part"] |= {entry.part for entry in recipe.inputs.values()}
    used["mask"] |= {entry.mask for entry in recipe.inputs.values() if entry.mask}
    used["field"] |= {field for entry in recipe.inputs.values() for field in entry.fields}
    used["field"] |= {other for entry in recipe.fields.values() for other in (entry.with_, entry.of) if other}
    for kind in ("mask", "pairing", "part", "field", "input"):
        for name in getattr(recipe, SECTION[kind]):
            written = (SECTION[kind], name) in loaded.layered.spots
            if written and name not in used[kind]:
                yield loaded.problem(
                    (SECTION[kind], name),
                    f"the {kind} '{name}' is named nowhere",
                    "leave it out, or name it where it is meant to work",
                    note=True,
                    key=True,
                )
    for name, entry in recipe.masks.items():
        shared = [other for other, one in recipe.masks.items() if (one.stream or other) == entry.stream]
        if entry.stream is not None and shared == [name]:
            yield loaded.problem(
                ("masks", name, "stream"),
                f"no other mask has the random stream '{entry.stream}'",
                f"masks: {', '.join(recipe.masks)}",
                note=True,
            )


def _missing(loaded: Loaded, kind: str, name: str, places: list[tuple[KeyPath, bool]]) -> Problem:
    """Something named and not defined, with the nearest name or the line that would define it."""
    (path, default), *others = places
    what = f"there is no {kind} '{name}' in this recipe" + (f" (what `{path[-1]}` is by default)" if default else "")
    more = list(dict.fromkeys(dotted(other[:2]) for other, _ in others if other[:2] != path[:2]))
    if more:
        what += f"; {', '.join(more)} ask{'s' * (len(more) == 1)} for it too"
    return loaded.problem(path, what, "; or ".join(_hints(loaded.recipe, kind, name)))


def _hints(recipe: Recipe, kind: str, name: str) -> Iterator[str]:
    section = SECTION[kind]
    defined = list(getattr(recipe, section))
    near = get_close_matches(name, defined, 1)
    if near:
        yield f"did you mean '{near[0]}'?"
    if kind == "objective" and not near:
        yield "leave out what names it (evaluate.NAME=null), if it was taken out on purpose"
    if kind == "input" and name in DEFAULT_INPUTS:
        yield f"give the model an encoder '{DEFAULT_INPUTS[name]['part']}', or define the input under inputs"
    elif line := example(section, name, recipe):
        yield f"add under {section}: {line}"
    elif not near:
        yield f"define it under {section}" + (f", where there are {', '.join(defined)}" if defined else "")


def example(section: str, name: str, recipe: Recipe) -> str:
    """The line of a shipped recipe that defines this name in this section, of one with the same data if there is one.

    Empty where none does so in a short line.
    """
    found = []
    for shipped in recipes.names():
        try:
            data = read(recipes.find(shipped)).data
        except RecipeError:  # a shipped recipe that is being changed by hand: no help, and no harm
            continue
        entries, source = data.get(section), data.get("data")
        if isinstance(entries, dict) and isinstance(entries.get(name), dict):
            line = dump_data({name: entries[name]}).strip()
            alike = isinstance(source, dict) and source.get("type") in {one.type for one in recipe.sources.values()}
            if "\n" not in line and len(line) <= WIDEST:
                found.append((not alike, len(line), line))
    return min(found)[2] if found else ""
