"""The records of a manifest, put into splits and numbered."""

import hashlib
import os
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from vlobj_data.captions import splits as told
from vlobj_data.forms.asked import Slice
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.records import Record
from vlobjectives.errors import Place, Problem


class CatalogueEntry(NamedTuple):
    """A file of a split with its captions, or a record that cannot be used and why. number: the file's.

    more: of each caption, what stands under further keys of its record. lies: where the file lies in another one.
    manifest: the number of its manifest.
    """

    number: int
    file: str
    captions: tuple[str, ...]
    at: int
    fault: str
    more: tuple[Mapping[str, Any], ...] = ()
    lies: Slice | None = None
    manifest: int = 0


class Catalogue:
    """Splits -> entries in the manifest's order; rows of one file are one entry.

    A file has one number in all splits. With `each` every caption of an entry is a sample (a faulty record is one),
    else every entry is.
    """

    def __init__(
        self,
        manifests: Sequence[Manifest],
        records: Sequence[Iterable[Record]],
        splits: Mapping[str, Sequence[str]],
        hold_out: Mapping[str, float],
        each: bool,
    ):
        """Raises DataError where no record is for training."""
        self.manifests, self.wanted = manifests, splits
        read = [(of, record) for of, listed in enumerate(records) for record in listed]
        for manifest in manifests:
            manifest.text = ""
        self.named = any(record.split for _, record in read if record.file or not record.fault)
        into = {name: split for split, names in splits.items() for name in names}
        self.there = Counter(record.split or "" for _, record in read) if self.named else Counter()
        self.first_out: dict[str, Place] = {}
        self.splits: dict[str, list[CatalogueEntry]] = {
            split: [] for split in (splits if self.named else ["train", *hold_out])
        }
        numbers: dict[str, int] = {}
        open_entries: dict[tuple[str, int], tuple[int, list[str], list[Mapping[str, Any]]]] = {}
        for of, record in read:
            split = into.get(record.split or "") if self.named else _held_out(record, hold_out)
            if split is None:
                self.first_out.setdefault(record.split or "", manifests[of].place(record.at))
                continue
            entries = self.splits[split]
            if record.fault:
                entries.append(CatalogueEntry(-1, record.file, (), record.at, record.fault, manifest=of))
                continue
            number = numbers.setdefault(_plain(record.file), len(numbers))
            known = open_entries.get((split, number))
            if known is None:
                open_entries[split, number] = known = (len(entries), [], [])
                entries.append(CatalogueEntry(number, record.file, (), record.at, "", lies=record.lies, manifest=of))
            known[1].extend(record.captions)
            known[2].extend([record.more] * len(record.captions))
        for (split, _), (at, captions, more) in open_entries.items():
            self.splits[split][at] = self.splits[split][at]._replace(captions=tuple(captions), more=tuple(more))
        self._ends = (
            {
                split: array("q", accumulate(max(len(entry.captions), 1) for entry in entries))
                for split, entries in self.splits.items()
            }
            if each
            else None
        )
        if not self.splits["train"]:
            raise told.nothing_to_train_on(manifests[0], splits, self.there, self._sizes())

    def place(self, entry: CatalogueEntry) -> Place:
        """Where an entry is listed first."""
        return self.manifests[entry.manifest].place(entry.at)

    def size(self, split: str) -> int:
        if split not in self.splits:
            return 0
        if self._ends is None:
            return len(self.splits[split])
        return self._ends[split][-1] if self._ends[split] else 0

    def at(self, split: str, number: int) -> tuple[CatalogueEntry, int | None]:
        """The entry of a sample, and the number of its caption (None: not fixed). Raises IndexError."""
        if not 0 <= number < self.size(split):
            raise IndexError(f"split '{split}' has {self.size(split)} samples and no number {number}")
        if self._ends is None:
            return self.splits[split][number], None
        ends = self._ends[split]
        at = bisect_right(ends, number)
        return self.splits[split][at], number - (ends[at - 1] if at else 0)

    def entries(self) -> Iterator[tuple[str, int, CatalogueEntry]]:
        """(split, how many stand before it there, entry), in order."""
        for split, entries in self.splits.items():
            yield from ((split, before, entry) for before, entry in enumerate(entries))

    def problems(self, chosen: bool) -> list[Problem]:
        """What the manifest's readers noted; splits that are drawn or left out; files that lie in two splits.

        chosen  the splits are the recipe's own, so that what they leave out is left out on purpose
        """
        found = [note for manifest in self.manifests for note in manifest.notes]
        if not self.named and len(self.splits) > 1:
            found.append(told.drawn(self.manifests, self._sizes()))
        if self.first_out:
            found.append(told.left_out(self.wanted, self.there, self.first_out, chosen))
        home: dict[int, str] = {}
        for split, _, entry in self.entries():
            if not entry.fault and home.setdefault(entry.number, split) != split:
                found.append(
                    Problem(
                        self.place(entry),
                        "",
                        f"{entry.file} is in '{home[entry.number]}' and in '{split}'",
                        "take it out of one: it would leak",
                    )
                )
        return found

    def _sizes(self) -> dict[str, int]:
        return {split: self.size(split) for split in self.splits}


def _plain(file: str) -> str:
    """One name for a file that is written in several ways: `./a.jpg`, `b/../a.jpg`."""
    return os.path.normpath(file)


def _held_out(record: Record, shares: Mapping[str, float]) -> str:
    """The split that a hash of the file's name falls into; it never changes when other files come or go."""
    name = _plain(record.file) if record.file else str(record.at)
    where = int.from_bytes(hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=8).digest()) / 2**64
    ends = accumulate(shares.values())
    return next((split for split, end in zip(shares, ends) if where < end), "train")
