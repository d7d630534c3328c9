"""Inputs of one encoder must speak one vocabulary: a field that learned its own has other words under the same ids."""

from collections.abc import Iterator

from vlobjectives.checking.text_lengths import rows_of
from vlobjectives.data.collate import Fields
from vlobjectives.data.data_module import DataModule
from vlobjectives.errors import Problem
from vlobjectives.recipe.loading import Loaded

TEXTS = 16
"""So many texts of a column are read by both fields."""


def vocabularies(loaded: Loaded, made: DataModule) -> Iterator[Problem]:
    """An error on a field whose reader gives a text other ids than the field that its encoder was built for."""
    fields = made.first
    if fields is None:  # too few records to learn from
        return
    first: dict[str, list[str]] = {}
    told: set[str] = set()
    for name, x in made.inputs.items():
        here = _tokens(fields, name)
        known = first.setdefault(x.part, here)
        for field in here:
            if known and field not in known and field not in told and not _speaks(loaded, made, fields, field, known):
                told.add(field)
                yield loaded.problem(
                    ("fields", field),
                    f"it gives words other ids than '{known[0]}', and the encoder '{x.part}' has one table for both",
                    f"write `with: {known[0]}` in it, where its reader shares a vocabulary, or take the same tokenizer",
                    key=True,
                )


def _tokens(fields: Fields, name: str) -> list[str]:
    """The fields of an input that a reader turns into tokens of the whole table."""
    return [
        field
        for field in fields.inputs[name]
        if field in fields.readers and fields.spec(field).kind == "tokens" and fields.spec(field).ids is None
    ]


def _speaks(loaded: Loaded, made: DataModule, fields: Fields, field: str, known: list[str]) -> bool:
    """Whether one of the known fields reads the texts of a field's column as that field does."""
    texts = [value for value in rows_of(loaded, made, fields.of[field]) if isinstance(value, str)][:TEXTS]

    def alike(other: str) -> bool:
        try:
            return all(fields.reads(other, text).ids == fields.reads(field, text).ids for text in texts)
        except Exception:  # a third party's reader, of another kind of text: nobody can tell
            return True

    return any(alike(other) for other in known)
