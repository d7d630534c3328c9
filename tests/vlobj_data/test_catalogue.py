"""The table of records: what is in it, and that it is the same in memory, in a file, in every process."""

import hashlib
import json
import multiprocessing
import os
import pickle
import time
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vlobj_data.captions import kept
from vlobj_data.captions.captions import Captions
from vlobj_data.captions.catalogue import Catalogue, CatalogueEntry
from vlobj_data.captions.gather import gather
from vlobj_data.captions.table import Table
from vlobj_data.forms import opening
from vlobj_data.forms.asked import Slice
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.records import Record

from vlobjectives.errors import DataError

SPLITS = {"train": ["train", "restval"], "val": ["val"], "test": ["test"]}
HOLD_OUT = {"val": 0.2, "test": 0.3}
NAMES = st.sampled_from(["a.jpg", "./a.jpg", "b/../a.jpg", "b.jpg", "c.jpg", "d/e.jpg", "f.jpg", "\u00e9.jpg"])
RECORD = st.builds(
    lambda at, file, captions, split, bad, lies: (
        Record(at, "" if bad > 1 else file, (), split, "why")
        if bad
        else Record(at, file, tuple(captions), split, "", {"n": at}, Slice(file, "x.tar", at, 7) if lies else None)
    ),
    st.integers(1, 99),
    NAMES,
    st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=3),
    st.sampled_from(["train", "restval", "val", "test", "other", None]),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.booleans(),
)


def by_hand(manifests, splits, hold_out):
    """Entries of each split with (number, file, captions, places, faults, manifests), record by record."""
    read = [(of, record) for of, records in enumerate(manifests) for record in records]
    named = any(record.split for _, record in read if record.file or not record.fault)
    into = {name: split for split, names in splits.items() for name in names}
    made = {split: [] for split in (splits if named else ["train", *hold_out])}
    numbers, left = {}, Counter()
    for of, record in read:
        split = into.get(record.split or "") if named else drawn(record, hold_out)
        if split is None:
            left[record.split or ""] += 1
        elif record.fault:
            made[split].append([-1, record.file, [], record.at, record.fault, [], None, of])
        else:
            where = record.lies[1:3] if record.lies else os.path.normpath(record.file)
            number = numbers.setdefault(where, len(numbers))
            entry = next((one for one in made[split] if one[0] == number), None)
            if entry is None:
                entry = [number, record.file, [], record.at, "", [], record.lies, of]
                made[split].append(entry)
            entry[2] += record.captions
            entry[5] += [record.more] * len(record.captions)
    return {
        split: [
            CatalogueEntry(n, f, tuple(c), at, why, tuple(more), lies, of) for n, f, c, at, why, more, lies, of in one
        ]
        for split, one in made.items()
    }, left


def drawn(record, shares):
    name = os.path.normpath(record.file) if record.file else str(record.at)
    where = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64
    return next((split for split, end in zip(shares, accumulate(shares.values())) if where < end), "train")


def catalogue(tmp_path: Path, manifests, each: bool) -> Catalogue:
    path = tmp_path / "records.table"
    with path.open("wb") as file:
        gather(file, [Manifest(Path(f"{n}.jsonl")) for n in range(len(manifests))], manifests, SPLITS, HOLD_OUT)
    return Catalogue(Table(path), [Manifest(Path(f"{n}.jsonl")) for n in range(len(manifests))], SPLITS, each)


@given(manifests=st.lists(st.lists(RECORD, max_size=12), min_size=1, max_size=3), each=st.booleans())
def test_entries_are_those_that_one_finds_record_by_record(tmp_path_factory, manifests, each):
    wanted, left = by_hand(manifests, SPLITS, HOLD_OUT)
    if not wanted["train"]:
        with pytest.raises(DataError, match="no record is"):
            catalogue(tmp_path_factory.mktemp("table"), manifests, each)
        return
    found = catalogue(tmp_path_factory.mktemp("table"), manifests, each)
    made = {split: [entry for of, _, entry in found.entries() if of == split] for split in found.splits}
    assert made == wanted
    for split, entries in wanted.items():
        samples = [
            (entry, which if each and entry.captions else (0 if each else None))
            for entry in entries
            for which in range(max(len(entry.captions), 1) if each else 1)
        ]
        assert [found.at(split, number) for number in range(found.size(split))] == samples
        with pytest.raises(IndexError):
            found.at(split, len(samples))
        few = [(before, entry) for of, before, entry in found.entries(2) if of == split]
        assert few == [(n, entry) for n, entry in enumerate(entries) if n < 2 or entry.fault]
    said = [problem.what for problem in found.problems(False)]
    assert any("left out" in one for one in said) == bool(left)
    home = {}
    leaks = [
        f"{entry.file} is in '{home[entry.number]}' and in '{split}'"
        for split, entries in wanted.items()
        for entry in entries
        if not entry.fault and home.setdefault(entry.number, split) != split
    ]
    assert [one for one in said if " and in " in one] == leaks


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """A manifest of four pictures with five records and two notes, kept as a large one is."""
    monkeypatch.setenv("VLOBJ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept, "LARGE", 0)
    for name in "abcd":
        Image.new("RGB", (8, 8), (ord(name), 0, 0)).save(tmp_path / f"{name}.png")
    rows = [
        {"image": f"{name}.png", "file": "x", "caption": f"{name} {at}", "phase": "train"}
        for at, name in enumerate("abcda")
    ]
    path = tmp_path / "list.jsonl"
    path.write_text("\n".join(map(json.dumps, [*rows, {"image": "a.png"}])), encoding="utf-8")
    return path


def source(path: Path, **options) -> Captions:
    return Captions(Captions.Config(manifest=str(path), image_size=8, hold_out={}, **options))


def shown(one: Captions) -> list:
    samples = [one.sample("train", number, 0, 0) for number in range(one.size("train"))]
    return [getattr(sample, "values", sample) and (sample.key, str(sample)) for sample in samples] + [
        str(problem) for problem in one.problems()
    ]


def tables(path: Path) -> list[Path]:
    return sorted((path.parent / "cache").rglob("*.table"))


def test_a_table_that_is_kept_is_read_in_place_of_the_manifest(photos, monkeypatch):
    with monkeypatch.context() as small:
        small.setattr(kept, "LARGE", 2**20)
        wanted = source(photos)
        assert not tables(photos)
    first = source(photos)
    monkeypatch.setattr(opening, "decoded", None)  # reading it again would fail
    again = source(photos, captions="one")
    with pytest.raises(TypeError):
        source(photos, columns={"phase": "names"})
    assert shown(first) == shown(wanted) and first.digest() == wanted.digest()
    assert again.size("train") == 5 and len(tables(photos)) == 1
    assert {str(problem) for problem in again.problems()} == {str(problem) for problem in first.problems()}


def test_a_manifest_that_changes_gets_another_table(photos):
    source(photos)
    photos.write_text('{"image": "b.png", "caption": "another"}', encoding="utf-8")
    assert source(photos).value("train", 0, "caption", 0, 0) == "another"
    assert len(tables(photos)) == 2


@pytest.mark.parametrize("left", [b"", b"rows", None])
def test_a_damaged_table_is_made_again(photos, left):
    wanted = shown(source(photos))
    table = tables(photos)[0]
    table.write_bytes(table.read_bytes()[:-20] if left is None else left)
    assert shown(source(photos)) == wanted
    assert shown(source(photos)) == wanted


def test_an_error_of_a_form_is_no_damage_of_its_table(photos, monkeypatch):
    """Records go by once: reading them again would make a table of what is left of them."""
    calls = []

    def failing(*given) -> None:
        calls.append(given)
        raise ValueError("a form's own")

    monkeypatch.setattr(kept, "gather", failing)
    with pytest.raises(ValueError, match="a form's own"):
        source(photos)
    assert len(calls) == 1 and not tables(photos)


def test_without_a_cache_it_lies_in_memory_and_check_says_so(photos, monkeypatch):
    wanted = shown(source(photos))
    (photos.parent / "file").write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("VLOBJ_CACHE", str(photos.parent / "file"))
    found = shown(source(photos))
    assert found[: len(wanted)] == wanted[: len(found)] or set(wanted) < set(found)
    (note,) = set(found) - set(wanted)
    assert "kept in memory" in note and "VLOBJ_CACHE" in note


def test_it_goes_to_workers_by_name(photos):
    one = source(photos)
    sent = pickle.dumps(one._catalogue)
    assert tables(photos)[0].name.encode() in sent and b"a 0" not in sent
    assert shown(pickle.loads(pickle.dumps(one))) == shown(one)


def test_processes_that_begin_together_make_it_once(photos, monkeypatch):
    log = photos.parent / "made"

    def slowly(*given) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write("made\n")
        time.sleep(0.3)
        gather(*given)

    monkeypatch.setattr(kept, "gather", slowly)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sizes = pool.map(size, [photos] * 2, chunksize=1)
    assert sizes == [6, 6] and log.read_text(encoding="utf-8") == "made\n"


def size(path: Path) -> int:
    return source(path).size("train")
