"""Options that all sources of pictures with captions share."""

import hashlib
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic.config import JsonDict

from vlobj_data.captions import draws, framing
from vlobj_data.captions.columns import Column
from vlobj_data.captions.draws import TextDraw
from vlobj_data.forms.asked import Asked
from vlobj_data.forms.expansion import expanded
from vlobj_data.views import Views, view_columns
from vlobjectives import Share, Side, SourceConfig

PATH: JsonDict = {"path": True}
MEAN = {"half": (0.5, 0.5, 0.5), "imagenet": (0.485, 0.456, 0.406), "clip": (0.48145466, 0.4578275, 0.40821073)}
STD = {"half": (0.5, 0.5, 0.5), "imagenet": (0.229, 0.224, 0.225), "clip": (0.26862954, 0.26130258, 0.27577711)}
LATER = ("interpolation", "flip_unless", "keys", "views")
"""Options that were added: at their default the digest of the data is what it was without them."""
PLACE: JsonDict = {"place": True}
Folders = str | list[str] | None
Manifests = str | list[str] | dict[str, str | list[str]]
Key = str | Annotated[int, Field(ge=1, le=10_000)]
Channel = Annotated[float, Field(ge=-1000, le=1000)]
Colours = Literal["half", "imagenet", "clip"] | tuple[Channel, Channel, Channel]


class ListedConfig(SourceConfig):
    manifest: Manifests = Field(
        description="file that lists the data and captions, or several: a list, or by split "
        "{train: FILE, val: FILE, test: FILE}",
        json_schema_extra=PATH,
    )
    keys: dict[str, Key | list[Key]] = Field(
        {},
        description="{image: NAME, caption: NAME, split: NAME}, where columns or keys of JSON have other names "
        "(a.b: b within a; of captions also several); numbers, from 1, are columns of a table without a header",
    )
    lists: dict[str, str] = Field(
        {},
        json_schema_extra=PATH,
        description="split -> file that lists what is in it, a name a line or a table; what is in none is left out",
    )
    captions: draws.Shown = Field(
        "each",
        description="each: every caption is a sample; one: every picture or clip is, with one of its captions; "
        "{draw: K, ...}: it is, with several texts",
    )
    image_size: Side = Field(224, description="pixels a side")
    resize: Literal["squash", "crop", "pad"] = Field(
        "crop", description="to a square: squeezed, the middle cut out, or all of it with bars in the colour `mean`"
    )
    augment: Literal["none", "crop"] = Field("none", description="crop: a random box of a training picture or clip")
    scale: tuple[Share, Share] = Field((0.5, 1.0), description="share of the picture that a random box covers")
    interpolation: Literal["bilinear", "bicubic", "nearest"] = Field(
        "bilinear", description="how pixels are resized; smoothed where they become fewer, but with nearest"
    )
    flip: bool = Field(
        False, description="mirror half of the training data, never what has a caption with a word of flip_unless"
    )
    flip_unless: list[str] = Field(
        list(framing.SIDES),
        description="how words for left and right begin in the captions' language; the default is English alone",
    )
    mean: Colours = Field("half", description="taken from each channel (scale 0..1): a known set's, or three")
    std: Colours = Field("half", description="each channel is divided by: a known set's, or three numbers")
    splits: dict[str, list[str]] = Field(
        {"train": ["train", "restval"], "val": ["val"], "test": ["test"]},
        description='which of the manifest\'s splits make up a split here ("": records without one); what is named '
        "nowhere is left out, with a note where this option is written",
    )
    hold_out: dict[str, Share] = Field(
        {"val": 0.1, "test": 0.1},
        description="shares of the files, by a hash of the file name, where the manifest names no splits",
    )
    columns: dict[str, Column] = Field(
        {},
        description="further keys of each record: text, caption (a text that says what is to be seen), class, number, "
        "names, phrases, boxes, image, or [M, W]: at most M vectors of W numbers",
    )
    vectors: Folders = Field(
        None,
        json_schema_extra=PATH,
        description="folder of the files of vectors, or several; by default the manifest's",
    )
    views: Views = Field({}, description="further views of each picture or clip, by the name of their column")
    links: bool = Field(
        False,
        json_schema_extra=PLACE,
        description="follow symbolic links wherever they lead; by default below the folders that the recipe names",
    )

    @field_validator("manifest")
    @classmethod
    def _names_some(cls, manifest: Manifests) -> Manifests:
        if not manifest or (isinstance(manifest, dict) and ("train" not in manifest or not all(manifest.values()))):
            raise ValueError("must name a file; by split, one for `train` too")
        return manifest

    @model_validator(mode="after")
    def _splits_once(self) -> Self:
        if isinstance(self.manifest, dict) and "splits" in self.model_fields_set:
            raise ValueError("`manifest` says which file is of which split: leave `splits` out")
        return self

    @field_validator("keys")
    @classmethod
    def _name_columns(cls, keys: dict[str, Key | list[Key]]) -> dict[str, Key | list[Key]]:
        if any(not names or (isinstance(names, list) and key != "caption") for key, names in keys.items()):
            raise ValueError("must name something for each, and several for `caption` alone")
        if len({isinstance(name, int) for names in named(keys).values() for name in names}) > 1:
            raise ValueError("must be names of a header or of keys, or numbers of columns, not both")
        return keys

    @field_validator("lists")
    @classmethod
    def _lists_train(cls, lists: dict[str, str]) -> dict[str, str]:
        if lists and "train" not in lists:
            raise ValueError("must have one for `train` too")
        return lists

    @field_validator("columns")
    @classmethod
    def _further(cls, columns: dict[str, Column]) -> dict[str, Column]:
        if {"image", "clip", "caption", "split"} & columns.keys():
            raise ValueError("image, caption and split are read anyway")
        if any(isinstance(column, tuple) and min(column) < 1 for column in columns.values()):
            raise ValueError("of vectors must say [how many at most, how wide]")
        return columns

    @model_validator(mode="after")
    def _texts_are_there(self) -> Self:
        if not isinstance(self.captions, TextDraw):
            return self
        texts = ["caption", *(name for name, kind in self.columns.items() if kind in ("text", "caption"))]
        if strange := [name for name in self.captions.odds if name not in texts]:
            raise ValueError(
                f"captions.odds names '{strange[0]}', which is no column of texts: there are {', '.join(texts)}"
            )
        if "phrases" in self.columns.values() and (self.captions.odds or self.captions.sentences):
            raise ValueError("a column of phrases is of one whole caption: leave captions.odds and sentences out")
        return self

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        taken = ["image", "clip", "caption", *draws.columns(self.captions), *self.further()]
        if twice := [name for place, name in enumerate(taken) if name in taken[:place]]:
            raise ValueError(f"two columns would be called '{twice[0]}': give one another name")
        view_columns(self.views, taken)
        return self

    def further(self) -> list[str]:
        """Columns beside the picture, captions and views."""
        return list(self.columns)

    @field_validator("scale")
    @classmethod
    def _in_order(cls, scale: tuple[Share, Share]) -> tuple[float, float]:
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


Reading = tuple[str, Path, Asked]
"""Split ("": as the records say), file, what is asked of it."""


def named(keys: dict[str, Key | list[Key]]) -> dict[str, tuple[Key, ...]]:
    """What `keys` says, each as several names."""
    return {key: tuple(names) if isinstance(names, list) else (names,) for key, names in keys.items()}


def files(manifests: Manifests) -> list[tuple[str, Path]]:
    """The files, in order, each with its split ("": as its records say)."""
    by_split = manifests if isinstance(manifests, dict) else {"": manifests}
    return [
        (split, path)
        for split, names in by_split.items()
        for name in ([names] if isinstance(names, str) else names)
        for path in expanded(name)
    ]


def own_folder(manifest: Path) -> str:
    """The folder that a manifest's files count from."""
    return str(manifest if os.path.isdir(manifest) else manifest.parent)


def read_as(config: ListedConfig, named_folders: Folders, asked: Asked) -> tuple[list[str], list[Reading]]:
    """The folders of files, and what is asked of each manifest.

    Where the recipe names no folders, each manifest's names count from its own.
    """
    own, listed = folders(None, config.manifest), files(config.manifest)
    roots = folders(named_folders, config.manifest)
    lists = {split: Path(path) for split, path in config.lists.items()}
    asked = asked._replace(keys=named(config.keys), lists=lists, roots=tuple(roots))
    if named_folders or len(own) == 1:
        return roots, [(split, path, asked) for split, path in listed]
    common = os.path.commonpath([os.path.abspath(folder) for folder in own])
    return [common], [
        (split, path, asked._replace(roots=(folder,), within=os.path.relpath(os.path.abspath(folder), common)))
        for split, path in listed
        for folder in [own_folder(path)]
    ]


def folders(named: Folders, manifests: Manifests) -> list[str]:
    """The folders that an option names, by default the manifests'."""
    if not named:
        return list(dict.fromkeys(own_folder(path) for _, path in files(manifests)))
    return [named] if isinstance(named, str) else named


def normalization(config: ListedConfig) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and std of the channels."""
    mean, std = config.mean, config.std
    return MEAN[mean] if isinstance(mean, str) else mean, STD[std] if isinstance(std, str) else std


def content_hash(name: str) -> str:
    """SHA-256 of a file; of what cannot be read nothing, since reading it says why."""
    try:
        with open(name, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def plain(config: ListedConfig, later: Collection[str], **more: object) -> str:
    """The options that decide what the data is, as text.

    later  those that are left out at their default
    """
    fields = type(config).model_fields
    left_out = {name for name, field in fields.items() if field.json_schema_extra in (PATH, PLACE)}
    left_out |= {name for name in later if getattr(config, name) == fields[name].default}
    options: Mapping[str, object] = config.model_dump(mode="json", exclude=left_out)
    return json.dumps({**options, **more}, sort_keys=True)
