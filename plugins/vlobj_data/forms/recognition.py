"""Which form a text is of."""

import json
import re
from pathlib import Path

from vlobj_data.forms.asked import CAPTION, Asked
from vlobj_data.forms.downloads import is_conceptual
from vlobj_data.forms.flickr import RESULTS, TOKEN
from vlobj_data.forms.header import header_of

LIST = re.compile(r"\[\s*\{")
_COCO, _KARPATHY = (re.compile(rf'"{key}"\s*:\s*\[') for key in ("annotations", "sentences"))


def form_of(text: str, path: Path, asked: Asked) -> str:
    """By the extension where it says enough, else by the content."""
    start, suffix, kind = text.lstrip(), path.suffix.lower(), asked.kind.name
    if suffix in (".jsonl", ".ndjson") and not LIST.match(start):
        return _of_objects(start, asked, "jsonl")
    if suffix in (".csv", ".tsv") or not start.startswith(("[", "{")):
        return _of_table(start, asked)
    if start.startswith("["):
        return _of_objects(start[1:].lstrip(), asked, "list")
    first, _, rest = start.partition("\n")
    if first.rstrip().endswith("}") and rest.strip():
        return _of_objects(start, asked, "jsonl")
    if kind == "clip":
        return "msrvtt"
    return "coco" if _COCO.search(start) and not _KARPATHY.search(start) else "karpathy"


def _of_table(start: str, asked: Asked) -> str:
    """The form of a table, by its first line."""
    first = start.partition("\n")[0].rstrip("\r")
    header = set(header_of(re.split(r"[,;|\t]", first)))
    if asked.keys:
        return "csv"
    if asked.kind.name == "clip":
        if {"videoid", "start", "end", "description"} <= header:
            return "msvd"
        if {"videoid", "name"} <= header:
            return "webvid"
        return "msrvtt_csv" if "video_id" in header and not header & set(asked.kind.file) else "csv"
    if TOKEN.match(start):
        return "token"
    if RESULTS.match(start):
        return "flickr30k"
    return "cc3m" if is_conceptual(first, asked) else "csv"


def _of_objects(start: str, asked: Asked, form: str) -> str:
    """The form of a list or lines of objects, by the first of them."""
    try:
        first, _ = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return form  # who reads it says why
    if asked.keys or asked.kind.name == "clip" or not isinstance(first, dict):
        return form
    return "llava" if isinstance(first.get("conversations"), list) and not first.keys() & set(CAPTION) else form
