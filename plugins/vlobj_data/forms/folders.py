"""Folders as manifests: files in folders of classes, or beside a table of them in each split's folder.

Names that begin with a dot are passed over, and what lies there is sorted by name.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from vlobj_data.forms.asked import Asked, Kind, Rows
from vlobj_data.forms.json_layouts import of_lines
from vlobj_data.forms.keys import named
from vlobj_data.forms.manifest import Manifest, decoded, read
from vlobj_data.forms.split_names import SPLITS
from vlobj_data.forms.tables import table
from vlobjectives.errors import DataError

METADATA = ("metadata.jsonl", "metadata.csv")
TEXTS = (".json", ".jsonl", ".csv", ".tsv", ".token", ".parquet", ".arrow", ".tar")
"""Where such files lie, one of them is the manifest."""


def metadata_in(path: Path) -> Path:
    """A folder's own table, as of Hugging Face's imagefolder; without one, and for a file, the path itself."""
    if not os.path.isdir(path):
        return path
    return next((path / name for name in METADATA if os.path.isfile(path / name)), path)


def is_split_by_metadata(path: Path, head: bytes) -> bool:
    """Whether folders of splits each have a table of what lies in them."""
    return os.path.isdir(path) and bool(_tables(path))


def by_metadata(manifest: Manifest, asked: Asked) -> Rows:
    """Rows of the tables in folders of splits; files count from the folder that their table is in."""
    manifest.lines = False
    entry = 0
    for folder, path in _tables(manifest.path):
        lines = path.suffix == ".jsonl"
        part = Manifest(path, decoded(read(path, f"{asked.kind.name}s"), path), "jsonl" if lines else "csv", True)
        for _, row in (named(of_lines) if lines else table)(part, asked):
            entry += 1
            yield entry, _within(folder, row, asked.kind) if isinstance(row, dict) else row
        manifest.notes.extend(part.notes)


def _within(folder: str, row: dict, kind: Kind) -> dict:
    key = next((name for name in kind.file if isinstance(row.get(name), str)), None)
    return {**row, **({key: f"{folder}/{row[key]}"} if key else {}), "split": SPLITS[folder.lower()]}


def _tables(path: Path) -> list[tuple[str, Path]]:
    """(folder, its table) of each split."""
    found = [(name, metadata_in(path / name)) for name in _folders(path) if name.lower() in SPLITS]
    return [(name, one) for name, one in found if one.name in METADATA]


def is_classes(path: Path, head: bytes) -> bool:
    """Whether a folder holds folders of classes, at least two, itself or in those of its splits, and no manifest."""
    if not os.path.isdir(path) or any(name.lower().endswith(TEXTS) for name in _names(path)):
        return False
    return all(len(_folders(path / split)) > 1 for split in _splits(path)) and bool(_folders(path))


def classes(manifest: Manifest, asked: Asked) -> Rows:
    """SPLIT/CLASS/.../FILE, or CLASS/.../FILE. `class` is the class's name, and the caption too, `_` in it a blank."""
    manifest.lines = False
    entry, others = 0, []
    for name in _files(manifest.path):
        split, of, *_ = parts = name.split("/")
        if len(parts) < 3 or split not in _splits(manifest.path):
            split, of = "", parts[0]
        if not name.lower().endswith(asked.kind.endings):
            others.append(name)
            continue
        entry += 1
        row = {asked.kind.file[0]: name, "class": of, "caption": of.replace("_", " ")}
        yield entry, {**row, "split": SPLITS[split.lower()]} if split else row
    if others:
        what = f"{len(others)} files are no {asked.kind.name}s by their ending and are left out, such as {others[0]}"
        manifest.note(what, "nothing, if they are none")


def hash_of(path: Path) -> "hashlib._Hash":
    """SHA-256 of the names in a folder, and of the bytes of tables in it."""
    found = hashlib.sha256()
    for name in _files(path):
        found.update(name.encode("utf-8", "surrogateescape") + b"\n")
        if os.path.basename(name) in METADATA:
            found.update(hashlib.sha256((path / name).read_bytes()).digest())
    return found


def _splits(path: Path) -> Sequence[str]:
    """Folders of splits, where there are no others; else none, named ''."""
    folders = _folders(path)
    return folders if folders and all(name.lower() in SPLITS for name in folders) else [""]


def _names(path: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(path) if not name.startswith("."))
    except OSError as error:
        why = error.strerror or "it cannot be listed"
        raise DataError(f"the folder cannot be read: {why}", "make it readable", Manifest(path).place()) from None


def _folders(path: Path) -> list[str]:
    return [name for name in _names(path) if os.path.isdir(path / name)]


def _files(path: Path, before: str = "") -> Iterator[str]:
    """The files below folders of a folder, with `/` between the parts of their names."""
    for name in _names(path):
        if os.path.isdir(path / name):
            yield from _files(path / name, f"{before}{name}/")
        elif before:
            yield before + name
