"""What sources with a manifest share: files in a folder, captions, splits, framing, faults that are counted."""

import hashlib
import json
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator
from torch import Tensor

from vlobj_data.captions import framing
from vlobj_data.captions.catalogue import Catalogue, Entry
from vlobj_data.captions.manifests import Record
from vlobj_data.captions.paths import PathError, inside
from vlobj_data.captions.pictures import PictureError
from vlobjectives import Bad, FieldSpec, Sample, Source, SourceConfig
from vlobjectives.errors import DataError, Place, Problem

PATH = {"path": True}
MEAN = {"half": (0.5, 0.5, 0.5), "imagenet": (0.485, 0.456, 0.406), "clip": (0.48145466, 0.4578275, 0.40821073)}
STD = {"half": (0.5, 0.5, 0.5), "imagenet": (0.229, 0.224, 0.225), "clip": (0.26862954, 0.26130258, 0.27577711)}
LATER = ("interpolation", "flip_unless")
"""Options that were added: at their default the digest of the data is what it was without them."""
FIRST = 100
SHOWN = 20

Colours = Literal["half", "imagenet", "clip"] | tuple[float, float, float]


class ListedConfig(SourceConfig):
    manifest: str = Field(description="file that lists the data and captions", json_schema_extra=PATH)
    captions: Literal["each", "one"] = Field("each", description="each: every caption is a sample; one: every picture "
                                                                 "or clip is, with one of its captions")
    image_size: int = Field(224, gt=0, description="pixels a side")
    resize: Literal["squash", "crop"] = Field("crop", description="to a square: squeezed, or the middle cut out")
    augment: Literal["none", "crop"] = Field("none", description="crop: a random box of a training picture or clip")
    scale: tuple[float, float] = Field((0.5, 1.0), description="share of the picture that a random box covers")
    interpolation: Literal["bilinear", "bicubic"] = Field("bilinear", description="how pixels are resized; smoothed "
                                                                                 "where they become fewer")
    flip: bool = Field(False, description="mirror half of the training data, never under a caption with a word of "
                                          "flip_unless")
    flip_unless: list[str] = Field(list(framing.SIDES), description="how words for left and right begin in the "
                                                                    "captions' language; the default is English alone")
    mean: Colours = Field("half", description="taken from each channel (scale 0..1): a known set's, or three")
    std: Colours = Field("half", description="each channel is divided by: a known set's, or three numbers")
    splits: dict[str, list[str]] = Field(
        {"train": ["train", "restval"], "val": ["val"], "test": ["test"]},
        description="which of the manifest's splits make up a split here; what is named nowhere is left out")
    hold_out: dict[str, float] = Field(
        {"val": 0.1, "test": 0.1},
        description="shares of the files, by a hash of the file name, where the manifest names no splits")

    @field_validator("scale")
    @classmethod
    def _in_order(cls, scale: tuple[float, float]) -> tuple[float, float]:
        if not 0 < scale[0] <= scale[1] <= 1:
            raise ValueError("must be two shares in order, over 0 and at most 1")
        return scale

    @field_validator("flip_unless")
    @classmethod
    def _are_words(cls, sides: list[str]) -> list[str]:
        if not all(side.strip() for side in sides):
            raise ValueError("must be words, none of them empty")
        return [side.strip() for side in sides]

    @field_validator("splits")
    @classmethod
    def _trains(cls, splits: dict[str, list[str]]) -> dict[str, list[str]]:
        named = [name for names in splits.values() for name in names]
        if "train" not in splits or len(named) != len(set(named)):
            raise ValueError("must have `train`, and name none of the manifest's splits twice")
        return splits

    @field_validator("hold_out")
    @classmethod
    def _leaves_some(cls, shares: dict[str, float]) -> dict[str, float]:
        if "train" in shares or min(shares.values(), default=0) < 0 or sum(shares.values()) >= 1:
            raise ValueError("must be shares that sum to less than 1; `train` gets the rest")
        return shares

    @field_validator("std")
    @classmethod
    def _divides(cls, std: Colours) -> Colours:
        if not isinstance(std, str) and min(std) <= 0:
            raise ValueError("must be over 0")
        return std


class Listed(Source):
    """Files with captions from a manifest. A subclass says how the manifest and the files are read."""

    column: ClassVar[str]
    """What a file becomes: the column's name."""
    folder: ClassVar[str]
    """The option that names the folder of files; by default it is the manifest's."""
    plural: ClassVar[str]

    config: ListedConfig

    def __init__(self, config: ListedConfig, max_pixels: int = 64_000_000):
        """Reads the manifest, no file. Raises DataError where it or the folder is missing or broken."""
        super().__init__(config)
        self.max_pixels = max_pixels
        path, named = Path(config.manifest), getattr(config, self.folder)
        folder = Path(named) if named is not None else path.parent
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(f"the manifest cannot be read: {error.strerror}", "set data.manifest to the file that "
                            f"lists {self.plural} and captions", Place(str(path))) from None
        if not folder.is_dir():
            raise DataError(f"the folder of {self.plural} does not exist", f"set data.{self.folder}",
                            Place(str(folder)))
        self._root = os.path.realpath(folder)
        records, lines = self.listed(data, path)
        self._catalogue = Catalogue(records, path, lines, config.splits, config.hold_out, config.captions == "each")
        self._digest = self._hashed(data)
        self.columns = self.described(config)
        self._further = [name for name in self.columns if name not in (self.column, "caption")]

    def listed(self, data: bytes, path: Path) -> tuple[Iterator[Record], bool]:
        """The records of a manifest, and whether they are numbered by lines."""
        raise NotImplementedError

    def shown(self, path: Path, draw: random.Random | None) -> Tensor:
        """What is in a file: uint8 [...,3,H,W]. `draw` is None but in training. Raises PictureError."""
        raise NotImplementedError

    def looked_at(self, path: Path) -> None:
        """Raises PictureError where a file cannot be what it should; decodes nothing."""
        raise NotImplementedError

    def beside(self, name: str, record: Mapping[str, Any], caption: str) -> Any:
        """The value of a further column, from the further keys of a caption's record. Raises what `shown` raises."""
        raise NotImplementedError

    @classmethod
    def shape(cls, config: ListedConfig) -> tuple[int, ...]:
        """Of what a sample shows."""
        return 3, config.image_size, config.image_size

    @classmethod
    def described(cls, config: ListedConfig) -> dict[str, FieldSpec]:
        """The columns, which hang on no file."""
        return {cls.column: FieldSpec("picture", cls.shape(config), mean=_colours(config.mean, MEAN),
                                      std=_colours(config.std, STD)),
                "caption": FieldSpec("raw", of_caption=True)}

    def splits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(["train", *self._catalogue.splits]))

    def size(self, split: str) -> int:
        return self._catalogue.size(split)

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample | Bad:
        """Raises IndexError for a number that the split does not have."""
        entry, which = self._catalogue.at(split, number)
        place = str(self._catalogue.place(entry.at))
        if entry.fault:
            return Bad(f"{place}: {entry.fault}", entry.file or place)
        draw = _draws(seed, split, number, epoch) if split == "train" else None
        which = _which(entry, which, draw)
        caption = entry.captions[which]
        try:
            beside = {name: self.beside(name, entry.more[which], caption) for name in self._further}
            if self.column not in self.columns:
                return Sample({"caption": caption, **beside}, entry.number, entry.file)
            whole = self.shown(self._path(entry), draw)
        except (PathError, PictureError) as error:
            return Bad(f"{place}: {entry.file} {error}", entry.file)
        height, width = whole.shape[-2:]
        if draw and self.config.augment == "crop":
            box = framing.random_box(height, width, self.config.scale, draw)
        else:
            box = (0, 0, height, width) if self.config.resize == "squash" else framing.centre(height, width)
        small = framing.square(whole, box, self.config.image_size, self.config.interpolation)
        if draw and self.config.flip and draw.random() < 0.5 and framing.may_flip(caption, self.config.flip_unless):
            small = small.flip(-1)
        return Sample({self.column: small, "caption": caption, **beside}, entry.number, entry.file)

    def value(self, split: str, number: int, column: str, epoch: int, seed: int) -> Any | Bad:
        """A caption, or what is said of it, without its file: readers learn from all of them."""
        entry, which = self._catalogue.at(split, number)
        if column == self.column or self.columns[column].kind != "raw" or entry.fault:
            return super().value(split, number, column, epoch, seed)
        which = _which(entry, which, _draws(seed, split, number, epoch) if split == "train" else None)
        caption = entry.captions[which]
        return caption if column == "caption" else self.beside(column, entry.more[which], caption)

    def problems(self, thorough: bool = False) -> list[str]:
        """Bad records, missing files and bad headers (of the first hundred records of each split, or all), files that
        lie in two splits, records that no split takes. Twenty are shown."""
        found = self._catalogue.problems()
        seen: set[str] = set()
        for entry in self._catalogue.entries(None if thorough else FIRST):
            what = entry.fault
            if not what and entry.file not in seen:
                seen.add(entry.file)
                try:
                    if self.column in self.columns:
                        self.looked_at(self._path(entry))
                    for name in self._further:
                        self.beside(name, entry.more[0], entry.captions[0])
                except (PathError, PictureError) as error:
                    what = f"{entry.file} {error}"
            if what:
                found.append(Problem(self._catalogue.place(entry.at), "", what, "mend it, or take the record out"))
        more = [f"... and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
        return [str(problem) for problem in found[:SHOWN]] + more

    def digest(self) -> str:
        """sha256 of the manifest's bytes and of every option but where the files lie."""
        return self._digest

    def _hashed(self, data: bytes) -> str:
        fields = type(self.config).model_fields
        left_out = {name for name, field in fields.items() if field.json_schema_extra == PATH}
        left_out |= {name for name in LATER if getattr(self.config, name) == fields[name].default}
        options: Mapping[str, Any] = self.config.model_dump(mode="json", exclude=left_out)
        text = json.dumps({**options, "max_pixels": self.max_pixels}, sort_keys=True)
        return hashlib.sha256(data + text.encode()).hexdigest()

    def _path(self, entry: Entry) -> Path:
        return inside(self._root, entry.file, f"{self.plural} (data.{self.folder})")


def _colours(given: Colours, known: dict[str, tuple[float, float, float]]) -> tuple[float, float, float]:
    return known[given] if isinstance(given, str) else given


def _which(entry: Entry, which: int | None, draw: random.Random | None) -> int:
    """The caption `which`; with `captions: one` the first drawn in training, the first written elsewhere."""
    if which is None:
        which = draw.randrange(len(entry.captions)) if draw else 0
    return which


def _draws(seed: int, split: str, number: int, epoch: int) -> random.Random:
    """The random numbers of one sample as one epoch shows it."""
    name = f"captions/{seed}/{split}/{number}/{epoch}".encode()
    return random.Random(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()))
