"""Where a table of records lies: in memory, or where manifests are large in a file of the cache folder.

A table in the cache is made once, by one process while others wait for it, and is bound to the hash of the manifests'
bytes and to all that decides how they are read. Every process and worker maps the one file.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from vlobj_data import cache
from vlobj_data.captions.gather import gather
from vlobj_data.captions.table import Table
from vlobj_data.forms.asked import Asked
from vlobj_data.forms.looking import surroundings
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.opening import Opened
from vlobj_data.forms.records import Record
from vlobjectives.errors import ResourceError

LARGE = 16 * 2**20
"""Bytes of manifests from which on a table is kept: what is smaller is read in a second or two."""
VERSION = 1
"""Goes up when the same manifests would give another table."""


def table_of(
    listed: Sequence[tuple[str, Opened]],
    records: Sequence[Iterable[Record]],
    asked: Sequence[Asked],
    splits: Mapping[str, Sequence[str]],
    hold_out: Mapping[str, float],
    columns: object,
) -> Table:
    """The table of all records.

    listed   the manifests, each with the split that the recipe says it is of
    records  theirs, read only where no table is kept
    asked    what is asked of each
    columns  what is declared of further columns, as far as it decides which records are sound
    """
    manifests = [one.manifest for _, one in listed]
    if sum(_size(manifest) for manifest in manifests) < LARGE:
        return _in_memory(manifests, records, splits, hold_out)
    contents = [
        (split, one.hashed.hexdigest(), surroundings(one.manifest.path, of)) for (split, one), of in zip(listed, asked)
    ]
    bound = [VERSION, contents, asked, splits, hold_out, columns]
    path = cache.folder() / "records" / f"{hashlib.sha256(repr(bound).encode()).hexdigest()[:32]}.table"

    begun = []

    def make(part: Path) -> None:
        with part.open("wb") as file:
            begun.append(part)
            gather(file, manifests, records, splits, hold_out)

    try:
        cache.made_once(path, make)
        with suppress(ValueError):  # around nothing that reads records: these go by once
            return Table(path)
        path.unlink(missing_ok=True)  # cut off or damaged
        return Table(cache.made_once(path, make))
    except ResourceError as error:
        if begun:  # the records have gone by
            raise
        table = _in_memory(manifests, records, splits, hold_out)
        table.told = error
        return table


def _in_memory(
    manifests: Sequence[Manifest],
    records: Sequence[Iterable[Record]],
    splits: Mapping[str, Sequence[str]],
    hold_out: Mapping[str, float],
) -> Table:
    buffer = BytesIO()
    gather(buffer, manifests, records, splits, hold_out)
    return Table(buffer.getvalue())


def _size(manifest: Manifest) -> int:
    """0 for what is no file: reading it says why."""
    try:
        return manifest.path.stat().st_size
    except (OSError, ValueError):
        return 0
