"""Stage `data`: the source can be opened and has the columns that fields and inputs read; its records are sound."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from vlobjectives.checking.first_samples import first_samples
from vlobjectives.checking.records import keys_of, records
from vlobjectives.checking.references import example
from vlobjectives.checking.repeated_captions import repeats
from vlobjectives.checking.text_lengths import lengths
from vlobjectives.checking.text_vocabularies import vocabularies
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.source import Source
from vlobjectives.data.data_module import DataModule, build_data, make_reader, make_source
from vlobjectives.data.field_kinds import KINDS
from vlobjectives.errors import DataError, PluginError, Problem
from vlobjectives.evaluation.context import held_out
from vlobjectives.plugin_loading.attribution import work_of
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import Recipe, source_path
from vlobjectives.recipe.report import Report, where
from vlobjectives.recipe.yaml import KeyPath, dotted
from vlobjectives.resolved.entries import Named
from vlobjectives.resolved.remainder import rest
from vlobjectives.resolved.resolved import Resolved

STAGE = "data"


def data(
    resolved: Resolved, thorough: bool, report: Report, kept: Path | None = None
) -> tuple[Resolved, DataModule | None]:
    """Sources, readers and inputs, no reader fitted but those that `kept` knows (see `build_data`); None where
    something is wrong with them."""
    loaded, recipe = resolved.loaded, resolved.recipe
    sources: dict[str, Any] = {}
    readers: dict[str, Any] = {}
    found: list[Problem] = []
    broken: set[str | None] = set()
    for name, one in resolved.of("source").items():
        try:
            sources[name] = make_source(resolved, name)
        except DataError as error:
            path = source_path(name)
            what = f"{error.what} ({error.place})" if error.place else error.what
            stops = [loaded.problem(path, keys_of(path, one.cls, what), keys_of(path, one.cls, error.hint))]
            report.add(STAGE, stops, DataError.code)
        except BuildError as error:
            report.add(STAGE, [told(loaded, error)])
    if len(sources) < len(recipe.sources):
        return resolved, None
    for name, entry in recipe.fields.items():
        try:
            if not {entry.with_, entry.of} & broken:
                readers[name] = make_reader(resolved, name, readers, kept=kept)
            else:
                broken.add(name)
        except BuildError as error:
            broken.add(name)
            found.append(told(loaded, error))
    known = {name: _known(loaded, name, source) for name, source in sources.items()}
    for name, source in sources.items():
        fed = dict(_wanted(loaded, resolved.entries, name, known))
        found += [
            *_columns(loaded, name, source, known[name], fed),
            *_fed(loaded, name, source, fed, known[name]),
            *_splits(loaded, name, source),
        ]
    found += _unheld(loaded, sources)
    found += _missing(loaded, {split for one in sources.values() for split in one.splits() if one.size(split)})
    sound = report.add(STAGE, found)
    for name, source in sources.items():
        with work_of(source_path(name), "looking at its records", source):
            sound = report.add(STAGE, records(loaded, source_path(name), source, thorough), DataError.code) and sound
    if any(where(problem)[0] == "data" and not problem.note for problem in found):
        return resolved, None
    resolved = rest(resolved, report.errors_of(STAGE))
    loaded = resolved.loaded
    made = build_data(
        resolved,
        kept=kept,
        sources=sources,
        readers={name: reader for name, reader in readers.items() if name in loaded.recipe.fields},
    )
    report.add(STAGE, repeats(resolved, made))
    report.add(STAGE, first_samples(loaded, made), PluginError.code)
    report.add(STAGE, [*_kinds(loaded, made), *lengths(loaded, made)])
    report.add(STAGE, vocabularies(loaded, made))
    resolved = rest(resolved, report.errors_of(STAGE))
    return resolved, made.of_inputs(resolved.recipe.inputs)


def told(loaded: Loaded, error: BuildError) -> Problem:
    """What cannot be made, at the key where it stands."""
    entry = getattr(loaded.recipe, str(error.path[0])).get(error.path[1]) if len(error.path) == 2 else None
    hint = error.hint or (f"`vlobj plugins {entry.type}` explains its options" if entry is not None else "")
    return loaded.problem(error.path, error.why, hint, key=len(error.path) > 1)


def _known(loaded: Loaded, name: str, source: Source) -> Mapping[str, FieldSpec]:
    """A source's columns, under the recipe's names too."""
    renamed = (loaded.recipe.data.mix or {})[name].rename if name else {}
    return {**source.columns, **{ours: source.columns[own] for own, ours in renamed.items() if own in source.columns}}


def _wanted(
    loaded: Loaded, named: Mapping[KeyPath, Named], source: str, known: Mapping[str, Mapping[str, FieldSpec]]
) -> Iterator[tuple[KeyPath, str]]:
    """(key path, field) of what inputs, and by themselves masks and objectives of this source, read; of a mix without
    what this source cannot feed and another can."""
    recipe = loaded.recipe

    def feeds(other: str, fields: Iterable[str]) -> bool:
        return all((recipe.column(field) if field in recipe.fields else field) in known[other] for field in fields)

    def spared(fields: Iterable[str], by: Iterable[str]) -> bool:
        return not feeds(source, fields) and any(feeds(other, fields) for other in by)

    for name, entry in recipe.inputs.items():
        if not spared(entry.fields, known):
            yield from ((("inputs", name, "fields", number), field) for number, field in enumerate(entry.fields))
    for path, one in named.items():
        if one.kind == "mask" or (one.kind == "objective" and source in (one.sources or (source,))):
            for place, field in one.config.places("field").items():
                if not spared([field], () if one.sources else known):
                    yield (*path, *place), field


def _columns(
    loaded: Loaded, name: str, source: Source, columns: Mapping[str, FieldSpec], fed: Mapping[KeyPath, str]
) -> Iterator[Problem]:
    """Columns that readers read; of a mix a source needs those alone that are read from its samples."""
    recipe = loaded.recipe
    if name:
        renamed = (recipe.data.mix or {})[name].rename
        ours = list(renamed.values())
        for place, own in enumerate(renamed):
            if own not in source.columns:
                yield loaded.problem(
                    (*source_path(name), "rename", own),
                    f"the source has no column '{own}'",
                    _near(own, source.columns, "it has"),
                    key=True,
                )
            elif ours[place] in ours[:place]:
                yield loaded.problem(
                    (*source_path(name), "rename", own),
                    f"two columns would be called '{ours[place]}'",
                    "give each a name of its own",
                )
            elif near := _misspelt(recipe, ours[place], columns):
                yield loaded.problem(
                    (*source_path(name), "rename", own), f"nothing reads '{ours[place]}'", f"did you mean '{near}'?"
                )
    for field, entry in recipe.fields.items():
        column = recipe.column(field)
        if column not in columns and (not name or field in fed.values()):
            path = ("fields", field, "of") if entry.of else ("fields", field)
            who = f"the source '{recipe.sources[name].type}'" + (f" (data.mix.{name})" if name else "")
            hint = source.offer(column) or _near(column, columns, "it has")
            yield loaded.problem(
                path,
                f"{who} has no column '{column}'",
                hint + (f"; data.mix.{name}.rename can call another so" if name else ""),
                key=not entry.of,
            )


def _misspelt(recipe: Recipe, name: str, columns: Collection[str]) -> str:
    """The column that inputs read and the source lacks which a name that nothing reads is near to."""
    fields = {field for entry in recipe.inputs.values() for field in entry.fields}
    read = {*fields, *(recipe.column(field) for field in recipe.fields)}
    near = get_close_matches(name, read - set(columns), 1) if name not in read else []
    return near[0] if near else ""


def _fed(
    loaded: Loaded, name: str, source: Source, fed: Mapping[KeyPath, str], columns: Mapping[str, FieldSpec]
) -> Iterator[Problem]:
    """Fields that are read: defined, or a column that needs no reader."""
    recipe = loaded.recipe
    for path, field in fed.items():
        if field in recipe.fields:
            continue
        if field not in columns and name:
            own = [column for column, spec in columns.items() if spec.kind != "raw"] or ["..."]
            yield loaded.problem(
                source_path(name),
                f"it has no column '{field}', which {dotted(path[:2])} reads",
                f"add to it rename: {{{own[0]}: {field}}}",
                key=True,
            )
        elif field not in columns:
            known = [*recipe.fields, *(name for name, spec in columns.items() if spec.kind != "raw")]
            pictures = [column for column, spec in columns.items() if spec.kind == "picture"]
            line = (
                f"inputs: {path[1]}: {{fields: [{pictures[0]}]}}, if the source's pictures are meant; "
                if pictures and path[0] == "inputs" and not source.offer(field)
                else ""
            )
            yield loaded.problem(
                path,
                f"there is no field '{field}', nor a column of the source that is one",
                line + (source.offer(field) or _near(field, known, "there are")),
            )
        elif columns[field].kind == "raw":
            line = example("fields", field, recipe)
            yield loaded.problem(
                path,
                f"the column '{field}' needs a reader that turns it into numbers",
                f"add under fields: {line or f'{field}: {{type: ...}}'}",
            )


def _splits(loaded: Loaded, name: str, source: Source) -> Iterator[Problem]:
    batch, size = loaded.recipe.data.batch, source.size("train")
    if not size:
        yield loaded.problem(
            source_path(name),
            "the source has no training samples",
            f"give it some: its options are explained by `vlobj plugins {loaded.recipe.sources[name].type}`",
        )
    elif size < batch:
        whose = f" of '{name}'" if name else ""
        yield loaded.problem(
            ("data", "batch"),
            f"a batch of {batch} is more than the {size} training samples{whose}, so that some stand in it twice",
            "lower data.batch",
            note=True,
        )


def _unheld(loaded: Loaded, sources: Mapping[str, Source]) -> Iterator[Problem]:
    evaluate = loaded.recipe.evaluate
    if (evaluate.entries or evaluate.losses) and not any(held_out(source) for source in sources.values()):
        kinds = ", ".join(dict.fromkeys(f"`vlobj plugins {entry.type}`" for entry in loaded.recipe.sources.values()))
        yield loaded.problem(
            ("evaluate",),
            "no split of the data is held out, so that nothing is evaluated",
            f"give it one: {kinds} explains the options; nothing, if no score is wanted",
            note=True,
        )


def _missing(loaded: Loaded, there: Collection[str]) -> Iterator[Problem]:
    for number, split in enumerate(loaded.recipe.evaluate.splits or ()):
        if split not in there:
            yield loaded.problem(
                ("evaluate", "splits", number),
                f"the source has no samples in a split '{split}'",
                _near(split, sorted(there), "it has"),
            )


def _kinds(loaded: Loaded, made: DataModule) -> Iterator[Problem]:
    """An input is one column of pictures (or numbers), or fields of tokens, with vectors or labels beside them."""
    for name, fields in made.fields.inputs.items():
        kinds = [made.fields.spec(field).kind for field in fields]
        if len(kinds) > 1 and (kinds[0] != "tokens" or any(kind in KINDS and KINDS[kind].alone for kind in kinds)):
            these = ", ".join(f"{field}: {kind}" for field, kind in zip(fields, kinds))
            yield loaded.problem(
                ("inputs", name, "fields"),
                f"an input of several fields begins with tokens and holds no picture, and these are {these}",
                "tokens first; a picture needs an input of its own",
            )


def _near(name: str, known: Any, words: str) -> str:
    near = get_close_matches(name, list(known), 1)
    return f"did you mean '{near[0]}'?" if near else f"{words} {', '.join(known) or 'none'}"
