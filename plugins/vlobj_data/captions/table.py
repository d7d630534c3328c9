"""All records of a source in one buffer, in memory or in a file that processes and their workers share.

A record lies in the buffer as JSON and is read when its sample is; what is needed to find it is a few numbers in
arrays, at most 36 bytes a record. Of a file the arrays are mapped, and so shared; rows are read, so that what was seen
of them does not stay in a process. In the order of the file:

    rows     the records as JSON, one behind the other
    arrays   starts [R+1] of the rows; order [K], which records the entries hold; ends [E] of entries in `order`;
             samples [E], captions so far in the entry's split; number [E] of an entry's file, -1: it cannot be used
    head     JSON: where the arrays lie, the splits, and what else was found when the records were read
"""

import json
import mmap
import os
from array import array
from collections.abc import Iterator, Mapping
from json.encoder import encode_basestring as quoted
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from vlobj_data.forms.asked import Slice
from vlobjectives.errors import VlobjError

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_TAIL = 8
"""Bytes of the length of the head, which stands last."""


class Row(NamedTuple):
    """A record as the table keeps it: the number of its manifest, its place there, and what it says."""

    manifest: int
    at: int
    file: str
    fault: str
    captions: list[str]
    more: Mapping[str, Any]
    lies: Slice | None = None


class TableWriter:
    """Writes rows as they come, then what was made of all of them."""

    def __init__(self, file: BinaryIO):
        self._file, self._starts, self._at = file, array("q", [0]), 0

    def add(self, row: Row) -> None:
        self._at += self._file.write(_json(row).encode("utf-8", "surrogatepass"))
        self._starts.append(self._at)

    def finish(self, arrays: Mapping[str, np.ndarray], head: Mapping[str, Any]) -> None:
        places = {}
        at = self._at + self._file.write(b"\0" * (-self._at % 8))
        for name, values in {"starts": np.frombuffer(self._starts, np.int64), **arrays}.items():
            places[name] = [values.dtype.str, at, len(values)]
            at += self._file.write(values.tobytes())
            at += self._file.write(b"\0" * (-at % 8))
        text = json.dumps({"arrays": places, **head}).encode()
        self._file.write(text + len(text).to_bytes(_TAIL, "little"))


def _json(row: Row) -> str:
    """What `_encode` gives of a row, which would make an encoder for each of millions."""
    captions, more = ",".join(map(quoted, row.captions)), _encode(row.more) if row.more else "{}"
    lies = _encode(row.lies) if row.lies else "null"
    return f"[{row.manifest},{row.at},{quoted(row.file)},{quoted(row.fault)},[{captions}],{more},{lies}]"


class Table:
    """Rows by number, and the arrays. It is pickled by its file where it has one."""

    def __init__(self, held: bytes | Path):
        """`held` is what a TableWriter wrote, or the file that it wrote. Raises OSError and ValueError for another."""
        self._held = held
        self.told: VlobjError | None = None
        """Why it lies in memory though it is large."""
        self._file = held.open("rb", buffering=0) if isinstance(held, Path) else None
        buffer: Any = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if self._file else held
        size = len(buffer)
        length = int.from_bytes(buffer[size - _TAIL :], "little")
        if not 0 < length <= size - _TAIL:
            raise ValueError("the table has no head")
        self.head: Mapping[str, Any] = json.loads(buffer[size - _TAIL - length : size - _TAIL])
        self._arrays = {
            name: np.frombuffer(buffer, np.dtype(kind), count, at)
            for name, (kind, at, count) in self.head["arrays"].items()
        }

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays[name]

    def __reduce__(self) -> tuple[Any, ...]:
        return Table, (self._held,)

    def row(self, number: int) -> Row:
        start, end = self._arrays["starts"][number : number + 2].tolist()
        held = os.pread(self._file.fileno(), end - start, start) if self._file else self._held[start:end]  # type: ignore[index]
        row = Row._make(json.loads(held.decode("utf-8", "surrogatepass")))
        return row._replace(lies=Slice._make(row.lies)) if row.lies else row

    def rows(self, entry: int) -> Iterator[Row]:
        """The records of an entry."""
        ends = self._arrays["ends"]
        first = int(ends[entry - 1]) if entry else 0
        return map(self.row, self._arrays["order"][first : int(ends[entry])].tolist())
