"""The source `captions`: photos in a folder and a manifest that says what they show."""

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator
from torch import Tensor

from vlobj_data import tiny
from vlobj_data.captions.columns import Column, Further, specs
from vlobj_data.captions.config import PATH, Folders, ListedConfig, folders
from vlobj_data.captions.listed import Listed
from vlobj_data.captions.roots import Roots
from vlobj_data.forms.asked import PICTURES, Asked
from vlobj_data.forms.opening import Opened, PictureForm
from vlobj_data.forms.records import Record
from vlobjectives import FieldSpec, Substitute
from vlobjectives.errors import DataError
from vlobjectives.pictures import check_header, read_picture

OFFERED = {"tags": "names", "phrases": "phrases", "regions": "[50, 2054]"}
"""What the columns of MVPTR (arXiv 2201.12596) would be declared as, for messages."""


class Captions(Listed):
    """Photos with captions from a manifest: Karpathy's JSON, COCO's captions, a JSON list, JSON lines, CSV or TSV.

    A table has a header; commas, semicolons, bars or tabs stand between its columns (`image`, `caption`, `split`, or
    other usual names of these). In .csv a quoted field may hold anything; in other tables with tabs quotation marks are
    letters. A manifest that names no splits is divided by a hash of the file names (`hold_out`), and `check` says so.
    Columns: `image`, uint8 [3,S,S], and `caption`, raw. `same` is the number of the picture's file, so the captions of
    one photo share it. What cannot be used becomes an UnusableSample, with the manifest's line or the file's fault.
    Only the split `train` is augmented and, with `captions: one`, draws which caption it shows; other splits show the
    middle (`resize: crop`) or all (`squash`) of a photo and its first caption. JSON (a list, or lines) may hold more of
    what `columns` names: `tags: [dog, ball]` as `names`, raw; `phrases: [[dog], [dog, brown]]` of the record's one
    caption as `phrases`, raw, a mapping of `caption` and `phrases`; `regions: vinvl.safetensors#123` as [M, W], the
    first M rows of a tensor [R,W], which belong to the whole picture, whatever of it is cut out. A record that lacks
    one, or has it broken, is a bad sample.
    """

    column, folder, plural, kind = "image", "images", "pictures", PICTURES

    class Config(ListedConfig):
        images: Folders = Field(
            None, json_schema_extra=PATH, description="folder of the pictures, or several; by default the manifest's"
        )
        form: PictureForm | None = Field(None, description="the manifest's form; by default found out")
        pictures: bool = Field(
            True,
            description="false: no column `image`, and no picture need be there: what a "
            "detector gave of them is enough",
        )
        columns: dict[str, Column] = Field(
            {}, description="further keys of each record: names, phrases, or [M, W]: at most M vectors of W numbers"
        )
        vectors: Folders = Field(
            None,
            json_schema_extra=PATH,
            description="folder of the files of vectors, or several; by default the manifest's",
        )

        @field_validator("columns")
        @classmethod
        def _further(cls, columns: dict[str, Column]) -> dict[str, Column]:
            if {"image", "caption", "split"} & columns.keys():
                raise ValueError("image, caption and split are read anyway")
            if any(isinstance(column, tuple) and min(column) < 1 for column in columns.values()):
                raise ValueError("of vectors must say [how many at most, how wide]")
            return columns

        def tiny(self, pixels: int) -> Substitute:
            return Substitute("scenes", tiny.scenes(pixels))

    def asked(self) -> Asked:
        folder = Roots(folders(self.config.vectors, self.config.manifest), "data.vectors", "vectors", self.config.links)
        self._more = Further(self.config.columns, folder)
        return Asked(self.kind, self.config.form, tuple(self.config.columns))

    def sound(self, opened: Opened) -> Iterator[Record]:
        for record in opened.records:
            if self.config.columns and opened.manifest.form not in ("jsonl", "list"):
                raise DataError(
                    f"data.columns are read from JSON, lines or a list, and this is {opened.manifest.form}",
                    "write it as JSON lines",
                    opened.manifest.place(),
                )
            why = "" if record.fault else self._more.fault(record.more, len(record.captions))
            yield record._replace(captions=(), fault=why) if why else record

    def beside(self, name: str, record: Mapping[str, Any], caption: str) -> Any:
        return self._more.value(name, record, caption)

    def offer(self, column: str) -> str:
        held = OFFERED.get(column)
        return f"add under data: columns: {{{column}: {held}}}, and the key '{column}' to each record" if held else ""

    @classmethod
    def described(cls, config: Config) -> dict[str, FieldSpec]:
        found = super().described(config) | specs(config.columns)
        return found if config.pictures else {name: spec for name, spec in found.items() if name != cls.column}

    @classmethod
    def seen(cls, config: Config, given: Any, max_pixels: int, draw: random.Random | None = None) -> Tensor:
        return read_picture(given, max_pixels)

    def looked_at(self, file: Path | bytes) -> None:
        check_header(file, self.max_pixels)
