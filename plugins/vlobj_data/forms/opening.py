"""From a path to records: the form is found by content, or the recipe names it."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from vlobj_data.forms.asked import Asked, Rows
from vlobj_data.forms.clips import msrvtt, webvid
from vlobj_data.forms.json_layouts import coco, karpathy, of_lines, of_list
from vlobj_data.forms.manifest import Manifest, decoded, read
from vlobj_data.forms.records import Record, columns_of, recorded
from vlobj_data.forms.tables import of_csv

PictureForm = Literal["karpathy", "coco", "list", "jsonl", "csv"]
ClipForm = Literal["msrvtt", "webvid", "list", "jsonl", "csv"]
LIST = re.compile(r"\[\s*\{")
_COCO, _KARPATHY = (re.compile(rf'"{key}"\s*:\s*\[') for key in ("annotations", "sentences"))


class FileForm(NamedTuple):
    """How a text is read: to rows, whose numbers count lines or entries."""

    rows: Callable[[Manifest, Asked], Rows]
    lines: bool = False


FORMS: Mapping[str, FileForm] = {
    "karpathy": FileForm(karpathy),
    "coco": FileForm(coco),
    "list": FileForm(of_list),
    "jsonl": FileForm(of_lines, lines=True),
    "csv": FileForm(lambda manifest, asked: of_csv(manifest, columns_of(asked.kind)), lines=True),
    "msrvtt": FileForm(msrvtt),
    "webvid": FileForm(webvid, lines=True),
}


class Opened(NamedTuple):
    """A manifest with its records. What is noted of it comes as they are read.

    hashed  SHA-256 of its bytes, to be gone on with
    """

    manifest: Manifest
    records: Iterator[Record]
    hashed: "hashlib._Hash"


def opened(path: Path, asked: Asked) -> Opened:
    """Opens a manifest.

    Raises DataError for what is no manifest; the records do for a broken file, and for one without records.
    """
    data = read(path, f"{asked.kind.name}s")
    text = decoded(data, path)
    name = asked.form or form_of(text, path, asked.kind.name)
    form = FORMS[name]
    manifest = Manifest(text, path, name, form.lines)
    return Opened(manifest, recorded(form.rows(manifest, asked), manifest, asked), hashlib.sha256(data))


def form_of(text: str, path: Path, kind: str = "picture") -> str:
    """By the extension where it says enough, else by the content."""
    start, suffix = text.lstrip(), path.suffix.lower()
    if suffix in (".jsonl", ".ndjson") and not LIST.match(start):
        return "jsonl"
    if suffix in (".csv", ".tsv") or not start.startswith(("[", "{")):
        header = {name.strip().lower() for name in re.split(r"[,;|\t]", start.partition("\n")[0])}
        return "webvid" if kind == "clip" and {"videoid", "name"} <= header else "csv"
    if start.startswith("["):
        return "list"
    first, _, rest = start.partition("\n")
    if first.rstrip().endswith("}") and rest.strip():
        return "jsonl"
    if kind == "clip":
        return "msrvtt"
    return "coco" if _COCO.search(start) and not _KARPATHY.search(start) else "karpathy"
