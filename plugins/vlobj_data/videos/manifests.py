"""Manifests of clips: MSR-VTT's JSON, WebVid's table, and the plain forms that pictures have too."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from vlobj_data.captions.manifests import (
    Fault,
    Kind,
    Record,
    Rows,
    columns_of,
    of_csv,
    of_lines,
    of_list,
    parsed,
    recorded,
)
from vlobjectives.errors import DataError, Place

Form = Literal["msrvtt", "webvid", "list", "jsonl", "csv"]
CLIPS = Kind("clip", ("video", "clip", "file_name", "filename", "file", "path", "video_path", "frames"))
WEBVID = {"videoid": ("videoid",), "page_dir": ("page_dir",), "caption": ("name",), "split": ("split",)}
BY_LINES = ("webvid", "jsonl", "csv")


def records(text: str, path: Path, form: Form, extension: str) -> Iterator[Record]:
    """The records of a manifest of clips; `extension` follows a clip's id where a form gives no file name.

    Raises DataError for a broken file, and for one without records.
    """
    rows: Rows = {
        "msrvtt": lambda: _msrvtt(text, path, extension), "webvid": lambda: _webvid(text, path, extension),
        "list": lambda: of_list(text, path, CLIPS), "jsonl": lambda: of_lines(text, path),
        "csv": lambda: of_csv(text, path, columns_of(CLIPS))}[form]()
    return recorded(rows, path, CLIPS)


def form_of(text: str, path: Path) -> Form:
    """By the extension where it says enough, else by the content."""
    start = text.lstrip()
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return "jsonl"
    if path.suffix.lower() in (".csv", ".tsv") or not start.startswith(("[", "{")):
        header = {name.strip().lower() for name in start.partition("\n")[0].replace("\t", ",").split(",")}
        return "webvid" if {"videoid", "name"} <= header else "csv"
    if start.startswith("["):
        return "list"
    first, _, rest = start.partition("\n")
    return "jsonl" if first.rstrip().endswith("}") and rest.strip() else "msrvtt"


def _msrvtt(text: str, path: Path, extension: str) -> Rows:
    """MSR-VTT (Xu et al. 2016): videos[].video_id, split and sentences[].video_id, caption.

    A clip's file is `file_name` where a video has one, else its id with the extension. A sentence for a clip that is
    not listed is a bad record of the training split.
    """
    whole = parsed(text, path)
    videos, sentences = (whole.get(key) if isinstance(whole, dict) else None for key in ("videos", "sentences"))
    if not isinstance(videos, list) or not isinstance(sentences, list):
        raise DataError("the JSON is not in MSR-VTT's layout: an object with videos[].video_id and "
                        "sentences[].video_id, caption", "convert it, or set data.form", Place(str(path)))
    found: dict[str, dict[str, Any]] = {}
    for at, video in enumerate(videos, 1):
        name = video.get("video_id") if isinstance(video, dict) else None
        if not isinstance(name, str) or name in found:
            yield at, Fault(f"video_id {name!r} is listed twice" if isinstance(name, str) else
                            "no video_id where a video should be", "train")
            continue
        found[name] = {"video": video.get("file_name") or name + extension, "split": video.get("split"), "at": at,
                       "captions": []}
    for at, sentence in enumerate(sentences, 1):
        of = sentence.get("video_id") if isinstance(sentence, dict) else None
        if not isinstance(of, str) or of not in found:
            yield at, Fault(f"sentence {at} is for the video {of!r}, which is not listed", "train")
            continue
        found[of]["captions"].append(sentence.get("caption"))
    for row in found.values():
        yield row.pop("at"), row


def _webvid(text: str, path: Path, extension: str) -> Rows:
    """WebVid's table (Bain et al. 2021): videoid, contentUrl, duration, page_dir, name. Files are page_dir/videoid."""
    for line, row in of_csv(text, path, WEBVID):
        name = f"{row.pop('videoid').strip()}{extension}"
        yield line, {**row, "video": f"{row['page_dir'].strip()}/{name}" if row["page_dir"].strip() else name}
