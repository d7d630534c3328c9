"""Forms of clips alone: MSR-VTT's JSON and WebVid's table."""

from typing import Any

from vlobj_data.forms.asked import Asked, LayoutFault, Rows
from vlobj_data.forms.header import Wanted
from vlobj_data.forms.json_layouts import parsed, unlike
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.tables import of_csv

WEBVID = Wanted({"videoid": ("videoid",), "page_dir": ("page_dir",), "caption": ("name",), "split": ("split",)})


def msrvtt(manifest: Manifest, asked: Asked) -> Rows:
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
            asked.kind,
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
        found[name] = {key: video.get(key) for key in asked.more} | {
            "video": video.get("file_name") or name + asked.extension,
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


def webvid(manifest: Manifest, asked: Asked) -> Rows:
    """WebVid's table (Bain et al. 2021): videoid, contentUrl, duration, page_dir, name. Files are page_dir/videoid."""
    wanted = Wanted(WEBVID | {name: (name.lower(),) for name in asked.more})
    wanted.optional = WEBVID.optional | set(asked.more)
    for line, row in of_csv(manifest, wanted, asked):
        name = f"{row.pop('videoid').strip()}{asked.extension}"
        yield line, {**row, "video": f"{row['page_dir'].strip()}/{name}" if row["page_dir"].strip() else name}
