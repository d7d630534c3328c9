"""Stage `data`: the source can be opened and has the columns that fields and inputs read; its records are sound."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from vlobjectives.contracts.source import Bad, Source
from vlobjectives.errors import DataError, Problem
from vlobjectives.recipe.checks import Report
from vlobjectives.recipe.checks_names import Named
from vlobjectives.recipe.checks_references import example
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.registry import Registry
from vlobjectives.running import assemble
from vlobjectives.running.assemble import Pieces, Trouble
from vlobjectives.running.checking.lengths import lengths

STAGE = "data"
FIRST = 4
"""Samples of each split that are read whole, as a batch would."""


def data(loaded: Loaded, registry: Registry, named: Mapping[KeyPath, Named], thorough: bool,
         report: Report) -> Pieces | None:
    """Source, readers and inputs, none of them fitted; None where something is wrong with them."""
    recipe, readers = loaded.recipe, {}
    found: list[Problem] = []
    try:
        source = assemble.make_source(recipe, registry)
    except DataError as error:
        what = f"{error.what} ({error.place})" if error.place else error.what
        report.add(STAGE, [loaded.problem(("data",), what, error.mend)], DataError.code)
        return None
    except Trouble as error:
        report.add(STAGE, [told(loaded, error)])
        return None
    for name, entry in recipe.fields.items():
        try:
            if entry.with_ is None or entry.with_ in readers:
                readers[name] = assemble.make_reader(recipe, registry, name, readers)
        except Trouble as error:
            found.append(told(loaded, error))
    found += [*_columns(loaded, source), *_fed(loaded, named, source), *_splits(loaded, source)]
    if not report.add(STAGE, found):
        return None
    made = assemble.pieces(recipe, registry)
    sound = report.add(STAGE, _kinds(loaded, made))
    sound = report.add(STAGE, _records(loaded, made, thorough), DataError.code) and sound
    return made if sound and report.add(STAGE, lengths(loaded, made)) else None


def told(loaded: Loaded, error: Trouble) -> Problem:
    """What cannot be made, at the key where it stands."""
    entry = getattr(loaded.recipe, error.path[0]).get(error.path[1]) if len(error.path) == 2 else None
    mend = error.mend or (f"`vlobj plugins {entry.type}` explains its options" if entry is not None else "")
    return loaded.problem(error.path, error.why, mend, key=len(error.path) > 1)


def _columns(loaded: Loaded, source: Source) -> Iterator[Problem]:
    """Columns that readers read."""
    for name, entry in loaded.recipe.fields.items():
        column = loaded.recipe.column(name)
        if column not in source.columns:
            path = ("fields", name, "of") if entry.of else ("fields", name)
            yield loaded.problem(path, f"the source '{loaded.recipe.data.type}' has no column '{column}'",
                                 source.offer(column) or _near(column, source.columns, "it has"), key=not entry.of)


def _fed(loaded: Loaded, named: Mapping[KeyPath, Named], source: Source) -> Iterator[Problem]:
    """Fields that inputs, and by themselves objectives and masks, read: defined, or a column that needs no reader."""
    recipe = loaded.recipe
    wanted: list[tuple[KeyPath, str]] = [(("inputs", name, "fields", number), field)
                                         for name, entry in recipe.inputs.items()
                                         for number, field in enumerate(entry.fields)]
    wanted += [((*path, key), field) for path, one in named.items() for key, field in one.config.named("field").items()
               if one.kind in ("objective", "mask")]
    for path, field in wanted:
        if field in recipe.fields:
            continue
        if field not in source.columns:
            known = [*recipe.fields, *(name for name, spec in source.columns.items() if spec.kind != "raw")]
            yield loaded.problem(path, f"there is no field '{field}', nor a column of the source that is one",
                                 source.offer(field) or _near(field, known, "there are"))
        elif source.columns[field].kind == "raw":
            line = example("fields", field, recipe)
            yield loaded.problem(path, f"the column '{field}' needs a reader that turns it into numbers",
                                 f"add under fields: {line or f'{field}: {{type: ...}}'}")


def _splits(loaded: Loaded, source: Source) -> Iterator[Problem]:
    there = [split for split in source.splits() if source.size(split)]
    if "train" not in there:
        yield loaded.problem(("data",), "the source has no training samples", "look at its split `train`")
    elif source.size("train") < loaded.recipe.data.batch:
        yield loaded.problem(("data", "batch"), f"a batch of {loaded.recipe.data.batch} is more than the "
                             f"{source.size('train')} training samples, so that some stand in it twice",
                             "lower data.batch", note=True)
    for number, split in enumerate(loaded.recipe.evaluate.splits or ()):
        if split not in there:
            yield loaded.problem(("evaluate", "splits", number), f"the source has no samples in a split '{split}'",
                                 _near(split, there, "it has"))


def _kinds(loaded: Loaded, made: Pieces) -> Iterator[Problem]:
    """An input is one column of pictures (or numbers), or fields of tokens, with vectors or labels beside them."""
    for name, fields in made.fields.inputs.items():
        kinds = [made.fields.spec(field).kind for field in fields]
        if len(kinds) > 1 and (kinds[0] != "tokens" or "picture" in kinds):
            these = ", ".join(f"{field}: {kind}" for field, kind in zip(fields, kinds))
            yield loaded.problem(("inputs", name, "fields"), "an input of several fields begins with tokens and holds "
                                 f"no picture, and these are {these}", "tokens first; a picture needs an input of its "
                                 "own")


def _records(loaded: Loaded, made: Pieces, thorough: bool) -> Iterator[Problem]:
    """What is wrong with records; as many as data.max_bad allows are notes, since a run skips them."""
    source, most = made.source, loaded.recipe.data.max_bad
    found = source.problems(thorough)
    note = len(found) <= most * source.size("train")
    for text in found:
        what, _, mend = text.partition("\n    mend: ")
        yield loaded.problem(("data",), what, "a run skips it, as data.max_bad allows" if note else mend, note=note)
    for split in source.splits():
        try:
            samples = [source.sample(split, number, source.settled_epoch, loaded.recipe.seed)
                       for number in range(min(FIRST, source.size(split)))]
        except DataError as error:
            yield loaded.problem(("data",), error.what, error.mend)
            continue
        if samples and all(isinstance(sample, Bad) for sample in samples):
            yield loaded.problem(("data",), f"none of the first {len(samples)} samples of split '{split}' can be used: "
                                 f"{samples[0].reason}", "look at the files")


def _near(name: str, known: Any, words: str) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"did you mean '{near[0]}'?" if near else f"{words} {', '.join(known) or 'none'}"
