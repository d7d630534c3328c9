"""Whether texts fit into their fields: the first hundred training records, read as a run would read them."""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import Any

from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.reader import Pieces
from vlobjectives.contracts.source import Bad
from vlobjectives.errors import Problem, VlobjError
from vlobjectives.recipe.loading import Loaded
from vlobjectives.running.assemble import Pieces as Made
from vlobjectives.running.fields import Fields, room

FIRST = 100


def lengths(loaded: Loaded, made: Made) -> Iterator[Problem]:
    """A note on a field that cuts texts, an error on one that holds no word.

    Readers that learn do so from these records alone, which gives at most as many pieces as all of them would.
    """
    if not any(_texts(made.fields)):
        return
    rows = {column: _rows(loaded, made, column) for column in dict.fromkeys(made.fields.of.values())}
    fields = deepcopy(made.fields)
    try:
        fields.fit(rows.__getitem__)
    except VlobjError:  # too few records to learn from: a run says so of all
        return
    told: set[str] = set()
    for names in _texts(fields):
        spare: list[int] = []  # of each record, what the fields before left of their length
        for place, name in names:
            values = rows[fields.of[name]]
            read = [fields.readers[name].read(value) for value in values]
            spare = spare if len(spare) == len(read) else [0] * len(read)
            if name not in told:
                yield from _fits(loaded, fields.spec(name), place, name, values, read, spare)
            told.add(name)
            spare = [max(0, room(fields.spec(name), place) + more - len(one.ids)) for one, more in zip(read, spare)]


def _fits(loaded: Loaded, spec: FieldSpec, place: int, name: str, values: Sequence[Any], read: Sequence[Pieces],
          spare: Sequence[int]) -> Iterator[Problem]:
    path = ("fields", name, *(["length"] if "length" in loaded.recipe.fields[name].options else []))
    holds, length = room(spec, place), spec.shape[0]
    longest = max((len(one.ids) - more for one, more in zip(read, spare)), default=0)
    cut = sum(len(one.ids) > holds + more for one, more in zip(read, spare))
    if holds < 1 or (read and not any(_word(value, one, holds + more)
                                      for value, one, more in zip(values, read, spare))):
        yield loaded.problem(path, f"a length of {length} leaves no word of '{name}'", "raise it: the longest of "
                             f"the first {len(read)} needs {longest + length - holds} or more")
    elif cut:
        yield loaded.problem(path, f"{cut / len(read):.0%} of the first {len(read)} are longer than {length} and "
                             "lose their end", f"the longest of them needs {longest + length - holds} or more; "
                             "nothing, if they may be cut", note=True)


def _texts(fields: Fields) -> Iterator[list[tuple[int, str]]]:
    """Of each input the fields of tokens that a reader makes, each with its place among those of the input."""
    for names in fields.inputs.values():
        tokens = [name for name in names if fields.spec(name).kind == "tokens"]
        yield [(place, name) for place, name in enumerate(tokens) if name in fields.readers]


def _rows(loaded: Loaded, made: Made, column: str) -> list[Any]:
    rows = []
    for feed in made.feeds.values():
        source, own = feed.source, feed.fields.renamed.get(column, column)
        if own in source.columns:
            rows += [source.value("train", number, own, source.settled_epoch, loaded.recipe.seed)
                     for number in range(min(FIRST, source.size("train")))]
    return [row for row in rows if not isinstance(row, Bad)]


def _word(value: Any, pieces: Pieces, holds: int) -> bool:
    """Whether the first word of a text is there whole; what is no text counts by its pieces."""
    first = re.match(r"\s*\S+", value) if isinstance(value, str) else None
    kept: Sequence[tuple[int, int]] = pieces.spans[:holds]
    return not pieces.ids or (bool(kept) and (first is None or kept[-1][1] >= first.end()))
