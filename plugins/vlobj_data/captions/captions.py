"""The source `captions`: photos in a folder and a manifest that says what they show."""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator
from torch import Tensor

from vlobj_data import tiny
from vlobj_data.captions.columns import Column
from vlobj_data.captions.config import PATH, Folders, ListedConfig
from vlobj_data.captions.framing import Framing
from vlobj_data.captions.instances import COLUMN, Instances
from vlobj_data.captions.listed import Listed
from vlobj_data.captions.objects import regions, shown
from vlobj_data.forms.asked import PICTURES, Asked
from vlobj_data.forms.opening import Opened, PictureForm
from vlobj_data.forms.records import Record
from vlobjectives import FieldSpec, Substitute
from vlobjectives.pictures import check_header, read_picture

OFFERED = {"tags": "names", "phrases": "phrases", "regions": "[50, 2054]"}
"""What the columns of MVPTR (arXiv 2201.12596) would be declared as, for messages."""


REGIONS = ("phrases", "boxes", "masks")
"""Columns of regions, in the order in which `regions` gives them."""


class Captions(Listed):
    """Photos with captions from a manifest, in any of the forms of docs/data.md: JSON, tables, lists, folders, shards.

    A table has a header, or `keys` counts its columns; commas, semicolons, bars or tabs stand between them (`image`,
    `caption`, `split`, other usual names of these, or those of `keys`). In .csv a quoted field may hold anything; in
    other tables with tabs quotation marks are letters. A manifest that names no splits is divided by a hash of the
    file names (`hold_out`), and `check` says so.
    Columns: `image`, uint8 [3,S,S], and `caption`, raw. `same` is the number of the picture's file, so the captions of
    one photo share it. What cannot be used becomes an UnusableSample, with the manifest's line or the file's fault.
    Only the split `train` is augmented and, with `captions: one` or `{draw: K}`, draws which texts it shows; other
    splits show the middle (`resize: crop`) or all (`squash`, `pad`) of a photo and its first captions. Records may hold
    more, which `columns` names: texts, a class, a number, a further picture; `tags: [dog, ball]` as `names`, raw;
    `phrases: [[dog], [dog, brown]]` of the record's one caption as `phrases`, raw, a mapping of `caption` and
    `phrases`; `regions: vinvl.safetensors#123` as [M, W], the first M rows of a tensor [R,W], which belong to the whole
    picture, whatever of it is cut out. `boxes` of objects, and COCO's `instances`, are framed with the picture: beside
    them the columns `phrases`, `boxes` and `masks` say what the caption speaks of, as `alignment` and `grounding` need
    it. A record that lacks something, or has it broken, is a bad sample. docs/data.md has examples.
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
        instances: str | None = Field(
            None,
            json_schema_extra=PATH,
            description="COCO's file of instances: what is in the pictures with its outline, the column objects",
        )
        phrases: str | None = Field(
            None,
            json_schema_extra=PATH,
            description="file of phrases of the captions, each with its instances, in place of the instances' names",
        )

        @model_validator(mode="after")
        def _of_pictures(self) -> Self:
            if self.phrases and not self.instances:
                raise ValueError("phrases point at instances: name their file too")
            framed = self.views or self.instances or {"boxes", "image"} & set(self.columns.values())
            if framed and not self.pictures:
                raise ValueError("without pictures there are no views, boxes, instances and further pictures")
            return self

        def further(self) -> list[str]:
            there = [*self.columns, *([COLUMN] if self.instances else ())]
            return there + (list(REGIONS) if has_regions(self) else [])

        def tiny(self, pixels: int) -> Substitute:
            more = tiny.shown(self.captions, self.views, self.image_size, pixels)
            return Substitute("scenes", tiny.scenes(pixels) | more)

    def __init__(self, config: Config, max_pixels: int = 64_000_000):
        self._instances = Instances(config.instances, config.phrases) if config.instances else None
        super().__init__(config, max_pixels)
        self._instances = None  # the records have them
        if has_regions(config):
            self.can = self.can | {"regions"}

    def asked(self) -> Asked:
        return Asked(self.kind, self.config.form, tuple(self.config.columns))

    def sound(self, opened: Opened) -> Iterator[Record]:
        if self._instances:
            return map(self._more.sound, self._instances.joined(opened))
        return super().sound(opened)

    @classmethod
    def declared(cls, config: Config) -> Mapping[str, Column]:
        objects: dict[str, Column] = {COLUMN: "boxes"} if config.instances else {}
        return {**config.columns, **objects}

    def regions(self, more: Mapping[str, Any], caption: str, framing: Framing) -> dict[str, Callable[[], Any]]:
        columns = self._more.of("boxes")
        made = cache(lambda: regions([one for name in columns for one in more[name]], caption, framing))
        makers: dict[str, Callable[[], Any]] = {name: partial(shown, more[name], framing) for name in columns}
        if columns:
            makers |= {name: lambda place=place: made()[place] for place, name in enumerate(REGIONS)}  # type: ignore[misc]
        return makers

    def joined(self) -> list[str]:
        return [name for name in (self.config.instances, self.config.phrases) if name]

    def offer(self, column: str) -> str:
        held = OFFERED.get(column)
        return f"add under data: columns: {{{column}: {held}}}, and the key '{column}' to each record" if held else ""

    @classmethod
    def described(cls, config: Config) -> dict[str, FieldSpec]:
        found = super().described(config)
        if has_regions(config):
            found |= {name: FieldSpec("raw", of_caption=True) for name in REGIONS}
        return found if config.pictures else {name: spec for name, spec in found.items() if name != cls.column}

    @classmethod
    def seen(cls, config: Config, given: Any, max_pixels: int, draw: random.Random | None = None) -> Tensor:
        return read_picture(given, max_pixels)

    def looked_at(self, file: Path | bytes) -> None:
        check_header(file, self.max_pixels)


def has_regions(config: Any) -> bool:
    """Whether something says what lies where in the pictures."""
    return bool(config.instances) or "boxes" in config.columns.values()
