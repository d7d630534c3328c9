"""Records become a table: put into splits, numbered by their files, those of one file joined to an entry."""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vlobj_data.captions.table import Row, TableWriter
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.records import Record
from vlobjectives.errors import DataError

NUMBERS = np.dtype(
    [
        ("split", "<i4"),
        ("captions", "<i4"),
        ("good", "?"),
        ("within", "?"),  # another file
        ("manifest", "<i4"),
        ("at", "<i8"),
        ("name", "<u8"),  # hash of the file's name
        ("hash", "<u8"),  # of that, or of where it lies within another one; with `check` 96 bits
        ("check", "<u4"),
    ]
)
"""What is known of a record while it goes by."""
_PACKED = struct.Struct("<ii??iqQQI")


class Gathered:
    """The numbers of the records that went by."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        """Of the manifests' splits, in order of appearance; "": none."""
        self.named = False
        self._packed = bytearray()

    def add(self, of: int, record: Record, container: Path | None) -> Row:
        split = record.split or ""
        self.named |= bool(split) and bool(record.file or not record.fault)
        # a record without a file falls into a drawn split by its place
        name = (_plain(record.file) if record.file else str(record.at)).encode("utf-8", "replace")
        hashed = same = _hash(name)
        if lies := record.lies:  # shards that number their samples anew have the same names for others
            name = f"{lies.container or container}\0{lies.offset}".encode("utf-8", "replace")
            same = _hash(name)
        self._packed += _PACKED.pack(
            self.names.setdefault(split, len(self.names)),
            len(record.captions),
            not record.fault,
            bool(lies),
            of,
            record.at,
            hashed,
            same,
            zlib.crc32(name),
        )
        return Row(of, record.at, record.file, record.fault, list(record.captions), record.more, lies)

    def numbers(self) -> np.ndarray:
        """A row of NUMBERS for each record."""
        return np.frombuffer(self._packed, NUMBERS)


def _plain(file: str) -> str:
    """One name for a file that is written in several ways: `./a.jpg`, `b/../a.jpg`."""
    odd = "./" in file or "//" in file or file.endswith(("/", "/.", "/.."))
    return os.path.normpath(file) if odd else file


def gather(
    file: BinaryIO,
    manifests: Sequence[Manifest],
    records: Sequence[Iterable[Record]],
    wanted: Mapping[str, Sequence[str]],
    hold_out: Mapping[str, float],
) -> None:
    """Writes the table of all records.

    A split has its entries in the order of their first records. Rows of one file in one split are one entry; a file has
    one number in all splits. Where no record names a split, a hash of the file's name draws it, which never changes
    when other files come or go.
    """
    found, writer = Gathered(), TableWriter(file)
    for of, listed in enumerate(records):
        for record in listed:
            writer.add(found.add(of, record, manifests[of].container))
        manifests[of].text = ""
    splits = list(wanted) if found.named else ["train", *hold_out]
    numbers = found.numbers()
    target, first_out = _targets(found, numbers, wanted, hold_out)
    kept = np.flatnonzero(target >= 0)
    sound = kept[numbers["good"][kept]]
    number = np.full(len(numbers), -1, np.int64)
    number[sound] = _numbered(numbers[sound])
    order, ends = _entries(target[kept], number[kept])
    order = kept[order]
    lead = order[np.concatenate([[0], ends[:-1]])] if len(ends) else order
    captions = numbers["captions"][order].astype(np.int64)
    samples = np.maximum(np.add.reduceat(captions, np.concatenate([[0], ends[:-1]])), 1) if len(ends) else captions
    counts = np.bincount(target[lead], minlength=len(splits)).tolist()
    last = list(accumulate(counts))
    small = np.int32 if len(numbers) < 2**31 else np.int64
    writer.finish(
        {
            "order": order.astype(small),
            "ends": ends,
            "samples": np.concatenate(
                [np.cumsum(samples[end - count : end]) for count, end in zip(counts, last)] or [samples]
            ),
            "number": number[lead].astype(small),
        },
        {
            "named": found.named,
            "splits": splits,
            "last": last,
            "there": dict(zip(found.names, np.bincount(numbers["split"]).tolist(), strict=True)) if found.named else {},
            "first_out": first_out,
            "twice": _twice(numbers, sound),
            "manifests": [[one.form, one.lines, one.kin, one.notes] for one in manifests],
        },
    )


def _targets(
    found: Gathered, numbers: np.ndarray, wanted: Mapping[str, Sequence[str]], hold_out: Mapping[str, float]
) -> tuple[np.ndarray, dict[str, Any]]:
    """The number of each record's split, -1 for those that are left out, and of these the first of each name."""
    split = numbers["split"]
    if not found.named:
        where = numbers["name"].astype(np.float64) / 2.0**64
        drawn = np.searchsorted(list(accumulate(hold_out.values())), where, side="right")
        return np.where(drawn < len(hold_out), drawn + 1, 0), {}
    into = {name: number for number, names in enumerate(wanted.values()) for name in names}
    target = np.array([into.get(name, -1) for name in found.names], np.int64)[split]
    first = {name: int(np.argmax(split == number)) for name, number in found.names.items() if name not in into}
    return target, {name: [int(numbers["manifest"][at]), int(numbers["at"][at])] for name, at in first.items()}


def _hash(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest())


def _twice(numbers: np.ndarray, which: np.ndarray) -> list[int]:
    """Of files within others: how many have the name of an earlier one, and the first two records of one name."""
    which = which[numbers["within"][which]]
    _, first = np.unique(numbers["hash"][which], return_index=True)
    which = which[np.sort(first)]
    _, first, inverse = np.unique(numbers["name"][which], return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(which)))
    return [len(again), int(which[first[inverse[again[0]]]]), int(which[again[0]])] if len(again) else [0, 0, 0]


def _numbered(numbers: np.ndarray) -> np.ndarray:
    """The numbers of these records' files, in order of appearance."""
    _, first, inverse = np.unique(numbers["hash"], return_index=True, return_inverse=True)
    if (numbers["check"][first][inverse] != numbers["check"]).any():
        raise DataError("two names of files share a hash of 64 bits, so that they cannot be told apart", "rename one")
    place = np.empty(len(first), np.int64)
    place[np.argsort(first)] = np.arange(len(first))
    return place[inverse]


def _entries(target: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The order in which records (of splits, with numbers of files) make up entries, and where each entry ends."""
    lead = np.arange(len(target))
    good = np.flatnonzero(number >= 0)
    if len(good):
        group = number[good] * (int(target.max()) + 1) + target[good]
        _, first, inverse = np.unique(group, return_index=True, return_inverse=True)
        lead[good] = good[first][inverse]
    entry = target * len(target) + lead
    order = np.argsort(entry, kind="stable")
    entry = entry[order]
    return order, np.flatnonzero(np.append(entry[1:] != entry[:-1], True)[: len(entry)]) + 1
