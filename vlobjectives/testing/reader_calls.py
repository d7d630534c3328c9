"""A reader as its checks ask for it: made and fitted by the host, in a toy system or on a source of one's own."""

import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from vlobjectives.contracts.reader import Reader
from vlobjectives.contracts.source import UnusableSample
from vlobjectives.data import fit_readers
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.errors import DataError, VlobjError
from vlobjectives.runtime.log import Log
from vlobjectives.testing.check import CheckFailed
from vlobjectives.testing.toys import Toy

MOST = 64
"""Values of a split that are read."""


def unfitted(toy: Toy) -> DataModule:
    """The data side of a toy, made anew."""
    return build_data(toy.resolved)


def fitted(toy: Toy) -> DataModule:
    """The same, its readers having learned from the training split."""
    made = unfitted(toy)
    fit_readers.fit(made, toy.seed, Log(first=False), {})
    return made


def restored(toy: Toy, made: DataModule) -> DataModule:
    """What a run folder gives back of readers that were saved in it."""
    with tempfile.TemporaryDirectory() as folder:
        made.fields.save(Path(folder) / "fields")
        again = build_data(toy.resolved, kept=Path(folder) / "fields")
        again.fields.load(Path(folder) / "fields")
        return again


def reader_of(made: DataModule, name: str) -> Reader:
    return made.fields.readers[name]


def values(made: DataModule, name: str, *splits: str) -> list[Any]:
    """Values of the column that a field reads, of these splits, as the host hands them to it.

    Raises CheckFailed where the source has no such column.
    """
    column, source = made.fields.of[name], made.source
    if column not in source.columns:
        raise CheckFailed(
            f"there is no column '{column}' for it to read", f"say `of: COLUMN`; there are {', '.join(source.columns)}"
        )
    found = (
        source.value(split, number, column, source.settled_epoch, 0)
        for split in splits
        for number in range(min(source.size(split), MOST))
    )
    return [value for value in islice(found, 3 * MOST) if not isinstance(value, UnusableSample)]


def reads(reader: Reader, given: Sequence[Any]) -> list[Any]:
    """What a reader makes of values, one after the other. Raises CheckFailed for one that it refuses."""
    found = []
    for value in given:
        try:
            found.append(reader.read(value))
        except DataError as error:
            raise CheckFailed(
                f"it refuses a value of the data that it was fitted on, {value!r}: {error.what}"
            ) from error
    return found


def refuses(reader: Reader, value: Any) -> bool:
    """Whether a reader refuses a value as the host understands it. Raises CheckFailed for another exception."""
    try:
        reader.read(value)
    except VlobjError:
        return True
    except Exception as error:
        raise CheckFailed(f"read({value!r}) raises {type(error).__name__}: {error}") from error
    return False
