"""What readers make of the first hundred training records: whether they can read them, and texts fit into fields."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import Any

from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.reader import TokenEncoding
from vlobjectives.contracts.source import UnusableSample
from vlobjectives.data.collate import Fields, room
from vlobjectives.data.data_module import DataModule
from vlobjectives.errors import Problem, VlobjError
from vlobjectives.plugin_loading.attribution import ContractError, files_of, line_of, work_of
from vlobjectives.plugin_loading.load import reason_of
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import source_path

FIRST = 100


def lengths(loaded: Loaded, made: DataModule) -> Iterator[Problem]:
    """An error on a field whose reader cannot read its column, or that holds no word; a note on one that cuts texts.

    Readers that learn do so from these records alone, which gives at most as many pieces as all of them would.
    """
    rows = {made.fields.of[name]: rows_of(loaded, made, made.fields.of[name]) for name in made.fields.readers}
    fields = deepcopy(made.fields)
    short: list[str] = []
    unread = list(_unread(loaded, made, fields, rows, short))
    yield from unread
    if unread:
        return
    made.first = None if short else fields
    told: set[str] = set()
    for names in _texts(fields):
        spare: list[int] = []  # of each record, what the fields before left of their length
        for place, name in ((place, name) for place, name in names if name not in short):
            values = rows[fields.of[name]]
            read = [fields.readers[name].read(value) for value in values]
            spare = spare if len(spare) == len(read) else [0] * len(read)
            if name not in told:
                yield from _fits(loaded, fields.spec(name), place, name, values, read, spare)
            told.add(name)
            spare = [max(0, room(fields.spec(name), place) + more - len(one.ids)) for one, more in zip(read, spare)]


def _unread(
    loaded: Loaded, made: DataModule, fields: Fields, rows: Mapping[str, Sequence[Any]], short: list[str]
) -> Iterator[Problem]:
    """Fits the readers, and lets those that a batch needs read; one problem for each that cannot.

    short  takes in those for which so few records are too few to learn from: a run says so of all
    """
    needed = {name for feed in made.feeds.values() for name in feed.fields.lone}.union(*fields.inputs.values())
    broken: set[str | None] = set()
    for name, reader in fields.readers.items():
        entry, column = loaded.recipe.fields[name], fields.of[name]
        if broken & {entry.with_, entry.of}:
            broken.add(name)
            continue
        values = rows[column]
        error, value = _raised(reader.fit, values), values[0] if values else None
        learned = error is None
        if isinstance(error, VlobjError):
            short.append(name)
        if (learned and name in needed) or isinstance(error, VlobjError):
            error, value = next(
                (
                    (error, value)
                    for value in values
                    if (error := _raised(partial(fields.row, name), value)) is not None
                    and (learned or isinstance(error, VlobjError))
                ),
                (None, None),
            )
        if error is not None:
            broken.add(name)
            place = line_of(error, files_of(reader))
            what, hint = (
                (error.what, error.hint)
                if isinstance(error, VlobjError)
                else (
                    f"its reader fails on the column '{column}', which holds {_brief(value)}: "
                    f"{error.why if isinstance(error, ContractError) else reason_of(error)}"
                    + (f" ({place})" if place else ""),
                    error.hint if isinstance(error, ContractError) else "",
                )
            )
            yield loaded.problem(
                ("fields", name, *(["of"] if entry.of else [])),
                what,
                hint or f"name with `of` a column that it reads; `vlobj plugins {entry.type}` explains it",
                key=not entry.of,
            )


def _raised(act: Callable[[Any], object], value: Any) -> Exception | None:
    try:
        act(value)
    except Exception as error:  # a reader may be anybody's
        return error
    return None


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."


def _fits(
    loaded: Loaded,
    spec: FieldSpec,
    place: int,
    name: str,
    values: Sequence[Any],
    read: Sequence[TokenEncoding],
    spare: Sequence[int],
) -> Iterator[Problem]:
    path = ("fields", name, *(["length"] if "length" in loaded.recipe.fields[name].options else []))
    holds, length = room(spec, place), spec.shape[0]
    longest = max((len(one.ids) - more for one, more in zip(read, spare)), default=0)
    cut = sum(len(one.ids) > holds + more for one, more in zip(read, spare))
    if holds < 1 or (
        read and not any(_word(value, one, holds + more) for value, one, more in zip(values, read, spare))
    ):
        yield loaded.problem(
            path,
            f"a length of {length} leaves no word of '{name}'",
            f"raise it: the longest of the first {len(read)} needs {longest + length - holds} or more",
        )
    elif cut:
        yield loaded.problem(
            path,
            f"{cut / len(read):.0%} of the first {len(read)} are longer than {length} and lose their end",
            f"the longest of them needs {longest + length - holds} or more; nothing, if they may be cut",
            note=True,
        )


def _texts(fields: Fields) -> Iterator[list[tuple[int, str]]]:
    """Of each input the fields of tokens that a reader makes, each with its place among those of the input."""
    for names in fields.inputs.values():
        tokens = [name for name in names if fields.spec(name).kind == "tokens"]
        yield [(place, name) for place, name in enumerate(tokens) if name in fields.readers]


def rows_of(loaded: Loaded, made: DataModule, column: str) -> list[Any]:
    rows = []
    for feed in made.feeds.values():
        source, own = feed.source, feed.fields.renamed.get(column, column)
        if own in source.columns:
            with work_of(source_path(feed.fields.source), f"reading the column '{own}'", source):
                rows += [
                    source.value("train", number, own, source.settled_epoch, loaded.recipe.seed)
                    for number in range(min(FIRST, source.size("train")))
                ]
    return [row for row in rows if not isinstance(row, UnusableSample)]


def _word(value: Any, pieces: TokenEncoding, holds: int) -> bool:
    """Whether the first word of a text is there whole; what is no text counts by its pieces."""
    first = re.match(r"\s*\S+", value) if isinstance(value, str) else None
    kept: Sequence[tuple[int, int]] = pieces.spans[:holds]
    return not pieces.ids or (bool(kept) and (first is None or kept[-1][1] >= first.end()))
