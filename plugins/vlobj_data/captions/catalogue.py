"""The records of a source's manifests: splits of entries, by number."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from vlobj_data.captions import splits as told
from vlobj_data.captions.table import Row, Table
from vlobj_data.forms.asked import Slice
from vlobj_data.forms.manifest import Manifest, Note
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
    """Splits -> entries in the manifests' order; rows of one file are one entry.

    A file has one number in all splits. With `each` every caption of an entry is a sample (a faulty record is one),
    else every entry is.
    """

    def __init__(self, table: Table, manifests: Sequence[Manifest], wanted: Mapping[str, Sequence[str]], each: bool):
        """Raises DataError where no record is for training."""
        self._table, self.manifests, self.wanted, self._each = table, manifests, wanted, each
        head = table.head
        for manifest, (form, lines, kin, notes) in zip(manifests, head["manifests"], strict=True):
            manifest.form, manifest.lines, manifest.kin = form, lines, kin
            manifest.notes = [Note(*note) for note in notes]
        self.named: bool = head["named"]
        self.there: Mapping[str, int] = head["there"]
        ends = head["last"]
        self.splits: Mapping[str, range] = {
            split: range(first, last) for split, first, last in zip(head["splits"], [0, *ends], ends)
        }
        """Each with the numbers of its entries."""
        if not self.splits["train"]:
            raise told.nothing_to_train_on(manifests[0], wanted, self.there, self._sizes())

    def place(self, entry: CatalogueEntry) -> Place:
        """Where an entry is listed first."""
        return self.manifests[entry.manifest].place(entry.at)

    def size(self, split: str) -> int:
        entries = self.splits.get(split, range(0))
        return int(self._table["samples"][entries[-1]]) if self._each and entries else len(entries)

    def at(self, split: str, number: int) -> tuple[CatalogueEntry, int | None]:
        """The entry of a sample, and the number of its caption (None: not fixed). Raises IndexError."""
        if not 0 <= number < self.size(split):
            raise IndexError(f"split '{split}' has {self.size(split)} samples and no number {number}")
        entries = self.splits[split]
        if not self._each:
            return self._entry(entries[number]), None
        samples = self._table["samples"][entries.start : entries.stop]
        at = int(np.searchsorted(samples, number, side="right"))
        return self._entry(entries[at]), number - (int(samples[at - 1]) if at else 0)

    def entries(self, first: int | None = None) -> Iterator[tuple[str, int, CatalogueEntry]]:
        """(split, how many stand before it there, entry), in order; but for faults only the `first` of each split."""
        for split, entries in self.splits.items():
            every = range(len(entries))
            if first is not None:
                bad = np.flatnonzero(self._table["number"][entries.start : entries.stop] < 0)
                every = [*every[:first], *bad[bad >= first].tolist()]  # type: ignore[assignment]
            yield from ((split, before, self._entry(entries[before])) for before in every)

    def problems(self, chosen: bool) -> list[Problem]:
        """What the manifests' readers noted; splits that are drawn or left out; files that lie in two splits.

        chosen  the splits are the recipe's own, so that what they leave out is left out on purpose
        """
        found = list(self._notes())
        if told_of := self._table.told:
            what = f"the table of records is kept in memory, by each process: {told_of.what}"
            found.append(Problem(told_of.place, "", what, told_of.hint, note=True))
        if not self.named and len(self.splits) > 1:
            found.append(told.drawn(self.manifests, self._sizes()))
        if self._table.head["first_out"]:
            first = {name: self.manifests[of].place(at) for name, (of, at) in self._table.head["first_out"].items()}
            found.append(told.left_out(self.wanted, self.there, first, chosen))
        return found + list(self._twice()) + list(self._leaks())

    def _notes(self) -> Iterator[Problem]:
        """What was noted of the manifests; what is so in several, as shards of one set, once."""
        same: dict[tuple[str, str], list[Problem]] = {}
        for manifest in self.manifests:
            for note in manifest.notes:
                same.setdefault((note.what, note.hint), []).append(manifest.problem(note))
        for first, *more in same.values():
            files = len({one.place for one in more})
            yield replace(first, what=f"{first.what} (as in {files} more files)") if files else first

    def _twice(self) -> Iterator[Problem]:
        """A note on pictures in shards that share a name: a key that comes again, or shards that count from 0 anew."""
        count, first, second = self._table.head["twice"]
        if count:
            one, other = self._table.row(first), self._table.row(second)
            yield Problem(
                self.manifests[other.manifest].place(other.at),
                "",
                f"{other.file} is also in {self.manifests[one.manifest].place(one.at)}: {count} picture"
                f"{'s have' if count > 1 else ' has'} the name of an earlier one, and each is a picture of its own",
                "nothing, if each shard counts its samples anew; else take one out",
                note=True,
            )

    def _leaks(self) -> Iterator[Problem]:
        number = self._table["number"]
        before: dict[str, np.ndarray] = {}
        for split, entries in self.splits.items():
            own = number[entries.start : entries.stop]
            twice = np.isin(own, np.concatenate(list(before.values()))) if before else np.zeros(0, bool)
            for at in np.flatnonzero(twice & (own >= 0)).tolist() if before else ():
                entry = self._entry(entries[at])
                home = next(name for name, held in before.items() if entry.number in held)
                yield Problem(
                    self.place(entry),
                    "",
                    f"{entry.file} is in '{home}' and in '{split}'",
                    "take it out of one: it would leak",
                )
            before[split] = own

    def _entry(self, at: int) -> CatalogueEntry:
        rows: list[Row] = list(self._table.rows(at))
        first = rows[0]
        return CatalogueEntry(
            int(self._table["number"][at]),
            first.file,
            tuple(caption for row in rows for caption in row.captions),
            first.at,
            first.fault,
            tuple(row.more for row in rows for _ in row.captions),
            first.lies and self.lies(first.lies, first.manifest),
            first.manifest,
        )

    def lies(self, held: Sequence[Any], manifest: int) -> Slice:
        """A slice, also as the table keeps it, with the name of its container."""
        lies = Slice._make(held)
        return lies if lies.container else lies._replace(container=str(self.manifests[manifest].container))

    def _sizes(self) -> dict[str, int]:
        return {split: self.size(split) for split in self.splits}
