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
    """A manifest with its records, which are read when they are asked for; what is noted of it comes then too.

    hashed  SHA-256 of its bytes, to be gone on with
    """

    manifest: Manifest
    records: Iterator[Record]
    hashed: "hashlib._Hash"


def opened(path: Path, asked: Asked) -> Opened:
    """Opens a manifest. Its records raise DataError for what is no manifest, for a broken one, and for an empty one."""
    manifest = Manifest(path)
    return Opened(manifest, _records(manifest, asked), _hashed(path))


def _records(manifest: Manifest, asked: Asked) -> Iterator[Record]:
    manifest.text = decoded(read(manifest.path, f"{asked.kind.name}s"), manifest.path)
    manifest.form = asked.form or form_of(manifest.text, manifest.path, asked.kind.name)
    form = FORMS[manifest.form]
    manifest.lines = form.lines
    yield from recorded(form.rows(manifest, asked), manifest, asked)


def _hashed(path: Path) -> "hashlib._Hash":
    """Of what is no file the hash of nothing: reading it says why."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256")
    except (OSError, ValueError):
        pass
    return hashlib.sha256()


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
