"""From a path to records: the form is found by content, or the recipe names it."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from vlobj_data.forms import arrow, shards
from vlobj_data.forms.asked import PICTURES, Asked, Rows
from vlobj_data.forms.clips import is_pickle, msrvtt, msrvtt_csv, msvd, msvd_pickle, webvid
from vlobj_data.forms.conversations import conversations
from vlobj_data.forms.downloads import conceptual, joined
from vlobj_data.forms.flickr import results, token
from vlobj_data.forms.folders import by_metadata, classes, hash_of, is_classes, is_split_by_metadata, metadata_in
from vlobj_data.forms.json_layouts import coco, karpathy, of_lines, of_list
from vlobj_data.forms.keys import named, refuse_keys
from vlobj_data.forms.lists import by_lists, lists_of
from vlobj_data.forms.manifest import Manifest, decoded, read
from vlobj_data.forms.recognition import form_of
from vlobj_data.forms.records import Record, recorded
from vlobj_data.forms.tables import table

PictureForm = Literal[
    "karpathy",
    "coco",
    "list",
    "jsonl",
    "csv",
    "token",
    "flickr30k",
    "cc3m",
    "llava",
    "metadata",
    "imagefolder",
    "webdataset",
    "parquet",
    "arrow",
]
ClipForm = Literal[
    "msrvtt", "msrvtt_csv", "msvd", "msvd_pickle", "webvid", "list", "jsonl", "csv", "metadata", "imagefolder"
]


class FileForm(NamedTuple):
    """How a manifest is read.

    rows   of the manifest, whose numbers count lines or entries
    lines  they count lines
    keyed  `data.keys` name what is read
    owns   whether a file (or folder) that is no text is of this form, by its path and first bytes; such a form reads
           the file itself. None: it is text
    opens  of one that holds the pictures too: the file in which they lie, and the hash of what is read
    """

    rows: Callable[[Manifest, Asked], Rows]
    lines: bool = False
    keyed: bool = False
    owns: Callable[[Path, bytes], bool] | None = None
    opens: "Callable[[Path], tuple[Path, hashlib._Hash]] | None" = None


FORMS: Mapping[str, FileForm] = {
    "karpathy": FileForm(karpathy),
    "coco": FileForm(coco),
    "list": FileForm(named(of_list), keyed=True),
    "jsonl": FileForm(named(of_lines), lines=True, keyed=True),
    "csv": FileForm(table, lines=True, keyed=True),
    "token": FileForm(token, lines=True),
    "flickr30k": FileForm(results, lines=True),
    "cc3m": FileForm(conceptual, lines=True),
    "llava": FileForm(conversations),
    "metadata": FileForm(by_metadata, keyed=True, owns=is_split_by_metadata),
    "imagefolder": FileForm(classes, owns=is_classes),
    "msrvtt": FileForm(msrvtt),
    "msrvtt_csv": FileForm(msrvtt_csv, lines=True),
    "msvd": FileForm(msvd, lines=True),
    "msvd_pickle": FileForm(msvd_pickle, owns=is_pickle),
    "webvid": FileForm(webvid, lines=True),
    "webdataset": FileForm(shards.webdataset, keyed=True, owns=shards.is_tar, opens=shards.opens),
    "parquet": FileForm(arrow.table, keyed=True, owns=arrow.is_parquet, opens=arrow.opens),
    "arrow": FileForm(arrow.table, keyed=True, owns=arrow.is_arrow, opens=arrow.opens),
}


class Opened(NamedTuple):
    """A manifest with its records, which are read when they are asked for; what is noted of it comes then too.

    hashed  SHA-256 of its bytes, to be gone on with
    """

    manifest: Manifest
    records: Iterator[Record]
    hashed: "hashlib._Hash"


def opened(path: Path, asked: Asked) -> Opened:
    """Opens a manifest. Its records raise DataError for what is no manifest, for a broken one, and for an empty one."""
    path = metadata_in(path)
    manifest = Manifest(path)
    opens = FORMS[name].opens if (name := _form_of_bytes(path, asked)) else None
    manifest.container, found = opens(path) if opens else (None, _of_bytes(path))
    return Opened(manifest, _records(manifest, asked), hashed(found, lists_of(path, asked)))


def _records(manifest: Manifest, asked: Asked) -> Iterator[Record]:
    name = _form_of_bytes(manifest.path, asked)
    if not name:
        manifest.text = decoded(read(manifest.path, f"{asked.kind.name}s"), manifest.path)
        name = asked.form or form_of(manifest.text, manifest.path, asked)
    form = FORMS[name]
    manifest.form, manifest.lines = name, form.lines
    if asked.keys and not form.keyed:
        refuse_keys(manifest)
    rows, lists = form.rows(manifest, asked), lists_of(manifest.path, asked)
    if form.keyed:
        rows = joined(rows, manifest, asked)
    yield from recorded(by_lists(rows, manifest, asked, lists) if lists else rows, manifest, asked)


def _form_of_bytes(path: Path, asked: Asked) -> str:
    """The form of what is no text; empty where none owns it."""
    if asked.form:
        return asked.form if FORMS[asked.form].owns else ""
    known = get_args(PictureForm if asked.kind == PICTURES else ClipForm)
    try:
        head = b""
        if path.is_file():
            with path.open("rb") as file:
                head = file.read(1024)
        return next((name for name in known if (owns := FORMS[name].owns) and owns(path, head)), "")
    except (OSError, ValueError):
        return ""  # who reads it says why


def hashed(found: "hashlib._Hash", lists: Mapping[str, Path]) -> "hashlib._Hash":
    """SHA-256 of a file's bytes, and of its lists'."""
    for split, one in lists.items():
        found.update(split.encode() + _of_bytes(one).digest())
    return found


def _of_bytes(path: Path) -> "hashlib._Hash":
    """Of what is no file that of nothing: reading it says why."""
    try:
        if path.is_dir():
            return hash_of(path)
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256")
    except (OSError, ValueError):
        pass
    return hashlib.sha256()
