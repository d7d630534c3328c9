"""Forms of clips alone: MSR-VTT's files, MSVD's and WebVid's table."""

import io
import pickle
from pathlib import Path
from typing import Any, NoReturn

from vlobj_data.forms.asked import Asked, LayoutFault, Rows
from vlobj_data.forms.header import Wanted
from vlobj_data.forms.json_layouts import two_lists
from vlobj_data.forms.looking import ending, first_of, settled
from vlobj_data.forms.manifest import Manifest, pickled
from vlobj_data.forms.tables import of_csv
from vlobjectives.errors import DataError

WEBVID = Wanted({"videoid": ("videoid",), "page_dir": ("page_dir",), "caption": ("name",), "split": ("split",)})
SENTENCES = Wanted({"video": ("video_id",), "caption": ("sentence", "caption")})
CORPUS = Wanted(
    {
        "video": ("videoid",),
        "start": ("start",),
        "end": ("end",),
        "language": ("language",),
        "caption": ("description",),
    }
)


def msrvtt(manifest: Manifest, asked: Asked) -> Rows:
    """MSR-VTT (Xu et al. 2016): videos[].video_id, split and sentences[].video_id, caption.

    A clip's file is `file_name` where a video has one, else its id with the extension. A sentence for a clip that is
    not listed is a bad record of the training split.
    """
    layout = "in MSR-VTT's layout: an object with videos[].video_id and sentences[].video_id, caption"
    videos, sentences = two_lists(manifest, asked, "videos", "sentences", layout)
    ids = [video.get("video_id") if isinstance(video, dict) else None for video in videos]
    follows = ending((name for name in ids if isinstance(name, str)), asked)
    found: dict[str, dict[str, Any]] = {}
    for at, (video, name) in enumerate(zip(videos, ids), 1):
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
        found[name] = {key: video.get(key) for key in asked.more} | {
            "video": video.get("file_name") or name + follows,
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


def msrvtt_csv(manifest: Manifest, asked: Asked) -> Rows:
    """Ids and sentences, as MSRVTT_JSFUSION_test.csv (Yu et al. 2018) has them. Raises DataError for ids alone."""
    if "," not in manifest.text.strip().partition("\n")[0]:
        name = manifest.path.name
        raise DataError(
            "the table lists ids alone, and no captions",
            f"name the file of captions, and this as a list: data.manifest: MSRVTT_data.json and "
            f"data.lists: {{train: {name}, test: MSRVTT_JSFUSION_test.csv}}",
            manifest.place(1),
        )
    first, rows = first_of(of_csv(manifest, SENTENCES.with_more(asked.more), asked))
    follows = ending((row["video"].strip() for _, row in first), asked)
    for line, row in rows:
        yield line, {**row, "video": row["video"].strip() + follows}


def webvid(manifest: Manifest, asked: Asked) -> Rows:
    """WebVid's table (Bain et al. 2021): videoid, contentUrl, duration, page_dir, name.

    Files are page_dir/videoid, or videoid alone where they lie so.
    """
    first, rows = first_of(of_csv(manifest, WEBVID.with_more(asked.more), asked))
    alone = settled((_ways(row, asked) for _, row in first), asked)
    for line, row in rows:
        yield line, {**row, "video": _ways(row, asked)[alone]}


def _ways(row: dict[str, Any], asked: Asked) -> tuple[str, str]:
    name, folder = f"{row['videoid'].strip()}{asked.extension}", row["page_dir"].strip()
    return f"{folder}/{name}" if folder else name, name


def msvd(manifest: Manifest, asked: Asked) -> Rows:
    """MSVD's corpus (Chen and Dolan 2011): VideoID, Start, End, Language, Description. Files are VideoID_Start_End.

    Descriptions in other languages than English are left out, with a note.
    """
    first, rows = first_of(of_csv(manifest, CORPUS.with_more(asked.more), asked))
    follows = ending((_clip(row) for _, row in first), asked)
    foreign = []
    for line, row in rows:
        if row["language"].strip().lower() == "english":
            yield line, {**row, "video": _clip(row) + follows}
        else:
            foreign.append(line)
    if foreign:
        what = f"{len(foreign)} descriptions are not in English and are left out; this is the first"
        manifest.note(what, "nothing, if that is meant", foreign[0])


def _clip(row: dict[str, Any]) -> str:
    return "_".join(row[key].strip() for key in ("video", "start", "end"))


def is_pickle(path: Path, head: bytes) -> bool:
    """Whether a file is a pickle."""
    return pickled(head)


class _Plain(pickle.Unpickler):
    """Reads texts, numbers, lists and dicts; whatever would name a class or a function is refused before it is run."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it asks for what lies elsewhere")


def msvd_pickle(manifest: Manifest, asked: Asked) -> Rows:
    """MSVD's raw-captions.pkl, as it goes round: id -> captions, each a list of words. Files are ids with an ending."""
    data = manifest.path.read_bytes()
    try:
        whole = _Plain(io.BytesIO(data), encoding="utf-8").load()
    except Exception as error:  # a damaged pickle raises nearly anything
        raise DataError(
            f"the pickle is damaged or holds more than texts in lists and dicts, and nothing else is read: {error}",
            "write what it lists as JSON lines, and name that file",
            manifest.place(),
        ) from None
    if not isinstance(whole, dict) or not all(isinstance(name, str) for name in whole):
        raise DataError(
            "the pickle does not hold clips with their captions, as MSVD's raw-captions.pkl does",
            "write what it lists as JSON lines, and name that file",
            manifest.place(),
        )
    follows = ending(whole, asked)
    for at, (name, captions) in enumerate(whole.items(), 1):
        told = [_joined(one) for one in captions] if isinstance(captions, list) else captions
        yield at, {"video": name + follows, "caption": told}


def _joined(caption: Any) -> Any:
    """A caption of its words."""
    words = isinstance(caption, list) and all(isinstance(word, str) for word in caption)
    return " ".join(caption) if words else caption
