"""Pictures in a column of an Arrow table: where their bytes lie in the file, and what they are called."""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from vlobj_data.forms.asked import Slice

Value = Slice | str | None


def is_picture(kind: Any) -> bool:
    """Whether a column's type is bytes, or a struct of them and a path."""
    return _bytes(kind) or (_struct(kind) and any(_bytes(kind.field(n).type) for n in range(kind.num_fields)))


def _bytes(kind: Any) -> bool:
    return str(kind) in ("binary", "large_binary")


def _struct(kind: Any) -> bool:
    return str(kind).startswith("struct<")


class Pictures:
    """The pictures of one column.

    A value is a slice, a name where only a path is there, or None. Rows with one path and the same bytes give the same
    slice, since they are one picture.

    base     the address at which the file is mapped
    table    what the table is called in the names of pictures
    batches  all of the file; column: of theirs
    """

    def __init__(self, base: int, table: str, batches: Iterable[Any], column: str):
        self._base, self._table = base, table
        self._first: dict[str, tuple[int, int]] = {}
        """Path that comes again -> where its picture lies first."""
        self._by_path = self._paths_name_pictures(batches, column)

    def of(self, column: Any, before: int) -> list[Value]:
        """Of a batch. `before` is the number of rows before it."""
        paths, places = _parts(column, self._base)
        made: list[Value] = []
        for row, (path, place) in enumerate(zip(paths, places), before + 1):
            if place is None:
                made.append(path)
                continue
            name = path if path and self._by_path else f"{self._table}#{row}"
            made.append(Slice(name, "", *(self._first.get(path, place) if path and self._by_path else place)))
        return made

    def _paths_name_pictures(self, batches: Iterable[Any], column: str) -> bool:
        """Whether no path is that of two pictures."""
        seen: set[str] = set()
        again: set[str] = set()
        for batch in batches:
            for path in _parts(batch.column(column), self._base)[0]:
                if path:
                    (again if path in seen else seen).add(path)
        if not again:
            return True
        hashes: dict[str, bytes] = {}
        for batch in batches:
            values = batch.column(column)
            held = _held(values)
            for number, (path, place) in enumerate(zip(*_parts(values, self._base))):
                if path in again and path and place:
                    found = hashlib.blake2b(held[number].as_buffer(), digest_size=16).digest()
                    self._first.setdefault(path, place)
                    if hashes.setdefault(path, found) != found:
                        return False
        return True


def _held(column: Any) -> Any:
    """The bytes of a column."""
    if not _struct(column.type):
        return column
    return column.field(next(n for n in range(column.type.num_fields) if _bytes(column.type.field(n).type)))


def _parts(column: Any, base: int) -> tuple[list[str | None], list[tuple[int, int] | None]]:
    """Paths, and (offset in the file, size), of a batch's values."""
    held = _held(column)
    paths: list[str | None] = [None] * len(column)
    if _struct(column.type):
        names = [column.type.field(number).name for number in range(column.type.num_fields)]
        if "path" in names:
            paths = column.field(names.index("path")).to_pylist()
    _, offsets, data = held.buffers()
    wide = np.int64 if str(held.type) == "large_binary" else np.int32
    ends = np.frombuffer(offsets, wide, len(held) + 1, held.offset * np.dtype(wide).itemsize).astype(np.int64)
    starts = ends[:-1] + ((data.address - base) if data is not None else 0)
    there = np.asarray(held.is_valid()) & np.asarray(column.is_valid())
    sizes = np.diff(ends)
    return paths, [
        (start, size) if good else None for start, size, good in zip(starts.tolist(), sizes.tolist(), there.tolist())
    ]
