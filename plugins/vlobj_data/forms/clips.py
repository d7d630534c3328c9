"""Manifests of clips: MSR-VTT's JSON, WebVid's table, and the plain forms that pictures have too."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

from vlobj_data.forms.json_layouts import Kind, LayoutFault, Rows, of_lines, of_list, parsed, unlike
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.records import LIST, Record, columns_of, recorded
from vlobj_data.forms.tables import of_csv

Form = Literal["msrvtt", "webvid", "list", "jsonl", "csv"]
CLIPS = Kind("clip", ("video", "clip", "file_name", "filename", "file", "path", "video_path", "frames"), get_args(Form))
WEBVID = {"videoid": ("videoid",), "page_dir": ("page_dir",), "caption": ("name",), "split": ("split",)}
BY_LINES = ("webvid", "jsonl", "csv")


def records(manifest: Manifest, form: Form, extension: str) -> Iterator[Record]:
    """The records of a manifest of clips; `extension` follows a clip's id where a form gives no file name.

    Raises DataError for a broken file, and for one without records.
    """
    rows: Rows = {
        "msrvtt": lambda: _msrvtt(manifest, extension),
        "webvid": lambda: _webvid(manifest, extension),
        "list": lambda: of_list(manifest, CLIPS),
        "jsonl": lambda: of_lines(manifest),
        "csv": lambda: of_csv(manifest, columns_of(CLIPS)),
    }[form]()
    return recorded(rows, manifest, CLIPS)


def form_of(text: str, path: Path) -> Form:
    """By the extension where it says enough, else by the content."""
    start = text.lstrip()
    if path.suffix.lower() in (".jsonl", ".ndjson") and not LIST.match(start):
        return "jsonl"
    if path.suffix.lower() in (".csv", ".tsv") or not start.startswith(("[", "{")):
        header = {name.strip().lower() for name in re.split(r"[,;|\t]", start.partition("\n")[0])}
        return "webvid" if {"videoid", "name"} <= header else "csv"
    if start.startswith("["):
        return "list"
    first, _, rest = start.partition("\n")
    return "jsonl" if first.rstrip().endswith("}") and rest.strip() else "msrvtt"


def _msrvtt(manifest: Manifest, extension: str) -> Rows:
    """MSR-VTT (Xu et al. 2016): videos[].video_id, split and sentences[].video_id, caption.

    A clip's file is `file_name` where a video has one, else its id with the extension. A sentence for a clip that is
    not listed is a bad record of the training split.
    """
    whole = parsed(manifest)
    videos, sentences = (whole.get(key) if isinstance(whole, dict) else None for key in ("videos", "sentences"))
    if not isinstance(videos, list) or not isinstance(sentences, list):
        raise unlike(
            "in MSR-VTT's layout: an object with videos[].video_id and sentences[].video_id, caption",
            whole,
            manifest,
            CLIPS,
        )
    found: dict[str, dict[str, Any]] = {}
    for at, video in enumerate(videos, 1):
        name = video.get("video_id") if isinstance(video, dict) else None
        if not isinstance(name, str) or name in found:
            yield (
                at,
                LayoutFault(
                    f"video_id {name!r} is listed twice"
                    if isinstance(name, str)
                    else "no video_id where a video should be",
                    "train",
                ),
            )
            continue
        found[name] = {
            "video": video.get("file_name") or name + extension,
            "split": video.get("split"),
            "at": at,
            "captions": [],
        }
    for at, sentence in enumerate(sentences, 1):
        of = sentence.get("video_id") if isinstance(sentence, dict) else None
        if not isinstance(of, str) or of not in found:
            yield at, LayoutFault(f"sentence {at} is for the video {of!r}, which is not listed", "train")
            continue
        found[of]["captions"].append(sentence.get("caption"))
    for row in found.values():
        yield row.pop("at"), row


def _webvid(manifest: Manifest, extension: str) -> Rows:
    """WebVid's table (Bain et al. 2021): videoid, contentUrl, duration, page_dir, name. Files are page_dir/videoid."""
    for line, row in of_csv(manifest, WEBVID):
        name = f"{row.pop('videoid').strip()}{extension}"
        yield line, {**row, "video": f"{row['page_dir'].strip()}/{name}" if row["page_dir"].strip() else name}
