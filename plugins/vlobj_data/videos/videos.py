"""The source `video_captions`: clips in a folder and a manifest that says what they show."""

import random
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from torch import Tensor

from vlobj_data import tiny
from vlobj_data.captions.columns import Column
from vlobj_data.captions.config import LATER, PATH, Folders, ListedConfig
from vlobj_data.captions.listed import Listed
from vlobj_data.forms.asked import CLIPS, Asked
from vlobj_data.forms.opening import ClipForm
from vlobj_data.videos.clips import check_clip, read_clip
from vlobj_data.videos.sampling import frame_numbers
from vlobjectives import Frames, Substitute


class VideoCaptions(Listed):
    """Clips with captions from a manifest, in any of the forms of docs/data.md: MSR-VTT's, MSVD's, WebVid's, lists.

    Columns: `clip`, uint8 [F,3,S,S], and `caption`, raw. A file is MP4, MOV, WebM, MKV, GIF or AVI, or a folder of
    frames; frames are counted as they are shown. What cannot be read becomes an UnusableSample, with the manifest's
    line or the file's fault. Splits, captions, further columns, views and framing as `captions` has them, but for boxes
    and further pictures; one box (one mirroring) serves all frames.
    """

    column, folder, plural, kind = "clip", "videos", "clips", CLIPS
    later = (*LATER, "columns")
    can = frozenset({"frames"})

    class Config(ListedConfig):
        videos: Folders = Field(
            None, json_schema_extra=PATH, description="folder of the clips, or several; by default the manifest's"
        )
        form: ClipForm | None = Field(None, description="the manifest's form; by default found out")
        extension: str = Field(
            ".mp4",
            description="follows a clip's id where a set gives no file name; empty for folders of frames. Another is "
            "taken where the first clips lie so",
        )
        frames: Annotated[Frames, Field(le=64)] = Field(4, description="frames of a clip that are shown (published: 4)")
        sampling: Literal["uniform", "random"] = Field(
            "random",
            description="training frames: the middle of equal segments, or a random frame of each; other "
            "splits show the middle",
        )
        splits: dict[str, list[str]] = Field(
            {"train": ["train"], "val": ["val", "validate", "validation"], "test": ["test"]},
            description="which of the manifest's splits make up a split here; what is named nowhere is left out",
        )

        @field_validator("columns")
        @classmethod
        def _of_clips(cls, columns: dict[str, Column]) -> dict[str, Column]:
            if {"boxes", "image"} & set(columns.values()):
                raise ValueError("of clips cannot be boxes or image, which lie in one picture")
            return columns

        def tiny(self, pixels: int) -> Substitute:
            more = tiny.shown(self.captions, self.views, self.image_size, pixels)
            return Substitute("scenes", tiny.scenes(pixels, moving=True) | more)

    @classmethod
    def shape(cls, config: Config) -> tuple[int, ...]:
        return config.frames, *super().shape(config)

    def asked(self) -> Asked:
        return Asked(self.kind, self.config.form, tuple(self.config.columns), self.config.extension)

    @classmethod
    def seen(cls, config: Config, given: Any, max_pixels: int, draw: random.Random | None = None) -> Tensor:
        drawn = draw if config.sampling == "random" else None
        return read_clip(given, partial(frame_numbers, frames=config.frames, draw=drawn), max_pixels)

    def looked_at(self, file: Path | bytes) -> None:
        assert isinstance(file, Path)  # no form of clips has them within other files
        check_clip(file, self.max_pixels)
