"""Lists beside a manifest that say which file is of which split."""

import csv
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vlobj_data.forms.asked import CAPTION, Asked, LayoutFault, Rows, Slice
from vlobj_data.forms.manifest import Manifest, decoded, read
from vlobjectives.errors import DataError, Place

_FLICKR8K = {
    split: f"Flickr_8k.{name}Images.txt" for split, name in (("train", "train"), ("val", "dev"), ("test", "test"))
}
_MSVD = {split: f"{split}_list.txt" for split in ("train", "val", "test")}
GIVEN_OUT: tuple[tuple[re.Pattern[str], Mapping[str, str]], ...] = (
    (re.compile(r"Flickr8k(\.lemma)?\.token\.txt"), _FLICKR8K),
    (re.compile(r"raw-captions\.pkl|MSR Video Description Corpus\.csv|video_corpus\.csv"), _MSVD),
)
"""Names of manifests -> the lists that come with them."""
IDS = ("video_id", "videoid", "image_id", "id")


class ListedName(NamedTuple):
    """split: whose list names a file; captions: those of the list, which then stand for the manifest's."""

    split: str
    captions: tuple[str, ...] = ()


def lists_of(path: Path, asked: Asked) -> Mapping[str, Path]:
    """The lists of a manifest: those that the recipe names, else those that come with it and lie beside it."""
    if asked.lists:
        return asked.lists
    names = next((names for known, names in GIVEN_OUT if known.fullmatch(path.name)), {})
    found = {split: path.with_name(name) for split, name in names.items()}
    return {split: one for split, one in found.items() if os.path.isfile(one)}


def by_lists(rows: Rows, manifest: Manifest, asked: Asked, lists: Mapping[str, Path]) -> Rows:
    """Rows with the split whose list names their file: as it is, without its folders, or without its ending too.

    What no list names is left out, with a note. Raises DataError for a list that cannot be read or that names nothing.
    """
    listed = _read(lists, asked)
    used: set[str] = set()
    lost, first = 0, None
    for at, row in rows:
        file = next((row[name] for name in asked.kind.file if name in row), None) if isinstance(row, dict) else None
        file = file.name if isinstance(file, Slice) else file
        if not isinstance(file, str):
            yield at, row._replace(split=next(iter(lists))) if isinstance(row, LayoutFault) else row
            continue
        key = next((name for name in _names(file) if name in listed), None)
        if key is None:
            lost, first = lost + 1, at if first is None else first
            continue
        split, captions = listed[key]
        if captions and key in used:
            continue
        used.add(key)
        yield at, _told(row, split, captions)
    if not used:
        raise DataError(
            f"the lists name no {asked.kind.name} of the manifest ({', '.join(str(one) for one in lists.values())})",
            "name the lists of this set in data.lists, or leave it out",
            manifest.place(),
        )
    if lost:
        what = f"{lost} record{'s are' if lost > 1 else ' is'} left out: no list names the file; this is the first"
        manifest.note(what, "nothing, if the lists are meant so", first)
    if missing := listed.keys() - used:
        what = (
            f"{len(missing)} of the {len(listed)} names in the lists are not in the manifest, such as {min(missing)!r}"
        )
        manifest.note(what, "nothing, if the manifest is a part of the set")


def _told(row: Mapping[str, Any], split: str, captions: tuple[str, ...]) -> dict[str, Any]:
    if not captions:
        return {**row, "split": split}
    return {name: value for name, value in row.items() if name not in CAPTION} | {
        "caption": list(captions),
        "split": split,
    }


def _names(file: str) -> tuple[str, str, str]:
    base = os.path.basename(file.strip())
    return file.strip(), base, os.path.splitext(base)[0]


def _read(lists: Mapping[str, Path], asked: Asked) -> dict[str, ListedName]:
    found: dict[str, ListedName] = {}
    for split, path in lists.items():
        text = decoded(read(path, f"names of {asked.kind.name}s"), path)
        for at, name, caption in _entries(text, asked):
            known = found.get(name)
            if known and known.split != split:
                raise DataError(
                    f"{name!r} is in the list of '{known.split}' and in that of '{split}'",
                    "take it out of one: it would leak",
                    Place(str(path), at),
                )
            told = known.captions if known else ()
            found[name] = ListedName(split, (*told, caption) if caption else told)
    return found


def _entries(text: str, asked: Asked) -> "list[tuple[int, str, str]]":
    """(line, name, caption or nothing) of a list: a name a line, or a table with a column of names."""
    lines = text.splitlines()
    header = [cell.strip().lower() for cell in next(csv.reader(lines[:1]), [])]
    column = next((header.index(name) for name in (*asked.kind.file, *IDS) if name in header), None)
    if column is None:
        return [(at, line.strip(), "") for at, line in enumerate(lines, 1) if line.strip()]
    caption = next((header.index(name) for name in CAPTION if name in header), None)
    rows = csv.reader(lines[1:])
    return [
        (rows.line_num + 1, row[column].strip(), row[caption].strip() if caption is not None else "")
        for row in rows
        if len(row) == len(header)
    ]
