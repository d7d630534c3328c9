"""The records of a manifest, put into splits and numbered."""

import hashlib
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from vlobj_data.captions.manifests import Record
from vlobjectives.errors import Place, Problem


class Entry(NamedTuple):
    """A file of a split with its captions, or a record that cannot be used and why. number: the file's.

    more: of each caption, what stands under further keys of its record.
    """

    number: int
    file: str
    captions: tuple[str, ...]
    at: int
    fault: str
    more: tuple[Mapping[str, Any], ...] = ()


class Catalogue:
    """Splits -> entries in the manifest's order; rows of one file are one entry.

    A file has one number in all splits. With `each` every caption of an entry is a sample (a faulty record is one),
    else every entry is.
    """

    def __init__(self, records: Iterable[Record], path: Path, lines: bool, splits: Mapping[str, Sequence[str]],
                 hold_out: Mapping[str, float], each: bool):
        """`lines`: records are numbered by lines of the manifest `path`, else by entries."""
        self.path, self.lines = path, lines
        read = list(records)
        self.named = any(record.split for record in read)
        into = {name: split for split, names in splits.items() for name in names}
        self.left_out: Counter[str | None] = Counter()
        self.first_out: dict[str | None, int] = {}
        self.splits: dict[str, list[Entry]] = {split: [] for split in (splits if self.named else ["train", *hold_out])}
        numbers: dict[str, int] = {}
        open_entries: dict[tuple[str, str], tuple[int, list[str], list[Mapping[str, Any]]]] = {}
        for record in read:
            split = into.get(record.split or "") if self.named else _held_out(record, hold_out)
            if split is None:
                self.left_out[record.split] += 1
                self.first_out.setdefault(record.split, record.at)
                continue
            entries = self.splits[split]
            if record.fault:
                entries.append(Entry(-1, record.file, (), record.at, record.fault))
                continue
            known = open_entries.get((split, record.file))
            if known is None:
                number = numbers.setdefault(record.file, len(numbers))
                open_entries[split, record.file] = known = (len(entries), [], [])
                entries.append(Entry(number, record.file, (), record.at, ""))
            known[1].extend(record.captions)
            known[2].extend([record.more] * len(record.captions))
        for (split, _), (at, captions, more) in open_entries.items():
            self.splits[split][at] = self.splits[split][at]._replace(captions=tuple(captions), more=tuple(more))
        self._ends = {split: array("q", accumulate(max(len(entry.captions), 1) for entry in entries))
                      for split, entries in self.splits.items()} if each else None

    def size(self, split: str) -> int:
        if split not in self.splits:
            return 0
        if self._ends is None:
            return len(self.splits[split])
        return self._ends[split][-1] if self._ends[split] else 0

    def at(self, split: str, number: int) -> tuple[Entry, int | None]:
        """The entry of a sample, and the number of its caption (None: not fixed). Raises IndexError."""
        if not 0 <= number < self.size(split):
            raise IndexError(f"split '{split}' has {self.size(split)} samples and no number {number}")
        if self._ends is None:
            return self.splits[split][number], None
        ends = self._ends[split]
        at = bisect_right(ends, number)
        return self.splits[split][at], number - (ends[at - 1] if at else 0)

    def entries(self, most: int | None) -> Iterator[Entry]:
        """The first `most` entries of each split, or all."""
        return chain.from_iterable(islice(entries, most) for entries in self.splits.values())

    def place(self, at: int) -> Place:
        return Place(str(self.path), at) if self.lines else Place(f"{self.path}, entry {at}")

    def problems(self) -> list[Problem]:
        """Splits without a sample, splits that are left out, files that lie in two splits."""
        found = []
        if not self.splits["train"]:
            found.append(Problem(Place(str(self.path)), "", "no record is in the split 'train'",
                                 "say under data.splits which of the manifest's splits are for training"))
        for name, count in self.left_out.items():
            what = f"{count} records name no split" if name is None else f"{count} records are in the split '{name}'"
            found.append(Problem(self.place(self.first_out[name]), "", f"{what} and are left out; this is the first",
                                 "name it under data.splits" if name is not None else "give them a split"))
        home: dict[int, str] = {}
        for split, entries in self.splits.items():
            for entry in entries:
                if not entry.fault and home.setdefault(entry.number, split) != split:
                    what = f"{entry.file} is in '{home[entry.number]}' and in '{split}'"
                    found.append(Problem(self.place(entry.at), "", what, "take it out of one: it would leak"))
        return found


def _held_out(record: Record, shares: Mapping[str, float]) -> str:
    """The split that a hash of the file's name falls into; it never changes when other files come or go."""
    name = record.file or str(record.at)
    where = int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()) / 2**64
    ends = accumulate(shares.values())
    return next((split for split, end in zip(shares, ends) if where < end), "train")
