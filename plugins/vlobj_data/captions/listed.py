"""What sources with a manifest share: files in a folder, captions, splits, framing, faults that are counted."""

import hashlib
import json
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from vlobj_data.captions import framing, recognised
from vlobj_data.captions.catalogue import Catalogue, CatalogueEntry
from vlobj_data.captions.config import LATER, MEAN, PATH, PLACE, STD, Colours, ListedConfig, files, folders, named
from vlobj_data.captions.kept import table_of
from vlobj_data.captions.near import Near
from vlobj_data.captions.roots import PathError, Roots
from vlobj_data.forms.asked import Asked, Kind
from vlobj_data.forms.opening import Opened, opened
from vlobj_data.forms.records import Record
from vlobj_data.forms.slices import bytes_of
from vlobjectives import DataSummary, FieldSpec, Flaw, Sample, Source, UnusableSample
from vlobjectives.errors import Problem
from vlobjectives.pictures import PictureError

FIRST = 100


class Listed(Source):
    """Files with captions from a manifest. A subclass says how the manifest and the files are read."""

    Config: type[ListedConfig]
    column: ClassVar[str]
    """What a file becomes: the column's name."""
    folder: ClassVar[str]
    """The option that names the folder of files; by default it is the manifest's."""
    plural: ClassVar[str]
    kind: ClassVar[Kind]
    """What the manifest lists."""

    def __init__(self, config: ListedConfig, max_pixels: int = 64_000_000):
        """Reads the manifest, no file. Raises DataError where it or the folder is missing or broken."""
        super().__init__(config)
        self.max_pixels = max_pixels
        roots = folders(getattr(config, self.folder), config.manifest)
        lists = {split: Path(path) for split, path in config.lists.items()}
        asked = self.asked()._replace(keys=named(config.keys), lists=lists, roots=tuple(roots))
        listed = [(split, opened(path, asked)) for split, path in files(config.manifest)]
        self._roots = Roots(roots, f"data.{self.folder}", self.plural, config.links)
        splits = {split: [split] for split in config.manifest} if isinstance(config.manifest, dict) else config.splits
        records = [self._of_split(split, self.sound(one)) for split, one in listed]
        table = table_of(listed, records, asked, splits, config.hold_out, getattr(config, "columns", {}))
        manifests = [one.manifest for _, one in listed]
        self._catalogue = Catalogue(table, manifests, splits, config.captions == "each")
        self._digest = self._hashed(listed)
        self._forms = [one.manifest.form for _, one in listed]
        self.columns = self.described(config)
        self._further = [name for name in self.columns if name not in (self.column, "caption")]

    def asked(self) -> Asked:
        """What is read of the manifests."""
        raise NotImplementedError

    def sound(self, opened: Opened) -> Iterator[Record]:
        """The records of a manifest; those of which something further cannot be used get a fault."""
        return opened.records

    @staticmethod
    def _of_split(split: str, records: Iterator[Record]) -> Iterator[Record]:
        """Records of a manifest that the recipe says the split of."""
        return (record._replace(split=split) for record in records) if split else records

    @classmethod
    def seen(cls, config: Any, given: Any, max_pixels: int, draw: random.Random | None = None) -> Tensor:
        """What is in a file, or in anything that `framed` takes: uint8 [...,3,H,W]. `draw` is None but in training.

        Raises PictureError.
        """
        raise NotImplementedError

    def looked_at(self, file: Path | bytes) -> None:
        """Raises PictureError where a file cannot be what it should; decodes nothing."""
        raise NotImplementedError

    def beside(self, name: str, record: Mapping[str, Any], caption: str) -> Any:
        """The value of a further column, from the further keys of a caption's record. Raises what `shown` raises."""
        raise NotImplementedError

    @classmethod
    def shape(cls, config: Any) -> tuple[int, ...]:
        """Of what a sample shows."""
        return 3, config.image_size, config.image_size

    @classmethod
    def described(cls, config: Any) -> dict[str, FieldSpec]:
        """The columns, which hang on no file."""
        return {
            cls.column: FieldSpec(
                "picture", cls.shape(config), mean=_colours(config.mean, MEAN), std=_colours(config.std, STD)
            ),
            "caption": FieldSpec("raw", of_caption=True),
        }

    @classmethod
    def recognised(cls, path: Path) -> dict[str, Any] | None:
        """The manifest, the folders in which its files are found, and its splits where they need a word."""
        return recognised.options(path, cls.kind, cls.folder, cls.Config)

    def summary(self) -> DataSummary:
        return recognised.summary(self.config, self._forms, self._catalogue.named)

    def splits(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(["train", *self._catalogue.splits]))

    def size(self, split: str) -> int:
        return self._catalogue.size(split)

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample | UnusableSample:
        """Raises IndexError for a number that the split does not have."""
        entry, which = self._catalogue.at(split, number)
        place = str(self._catalogue.place(entry))
        if entry.fault:
            return UnusableSample(f"{place}: {entry.fault}", entry.file or place)
        draw = _draws(seed, split, number, epoch) if split == "train" else None
        which = _which(entry, which, draw)
        caption = entry.captions[which]
        try:
            beside = {name: self.beside(name, entry.more[which], caption) for name in self._further}
            if self.column not in self.columns:
                return Sample({"caption": caption, **beside}, entry.number, entry.file)
            file = bytes_of(entry.lies) if entry.lies else self._roots(entry.file)
            whole = self.seen(self.config, file, self.max_pixels, draw)
        except (PathError, PictureError) as error:
            return UnusableSample(f"{place}: {entry.file} {error}", entry.file)
        small = self._cut(self.config, whole, draw)
        if (
            draw
            and self.config.flip
            and draw.random() < 0.5
            and all(framing.may_flip(one, self.config.flip_unless) for one in entry.captions)
        ):  # all may be taught with it
            small = small.flip(-1)
        return Sample({self.column: small, "caption": caption, **beside}, entry.number, entry.file)

    @classmethod
    def framed(cls, config: ListedConfig, spec: FieldSpec, picture: Any, max_pixels: int) -> Tensor:
        """As the run's held-out pictures are decoded, cut and resized."""
        return cls._cut(config, cls.seen(config, picture, max_pixels))

    @classmethod
    def _cut(cls, config: ListedConfig, whole: Tensor, draw: random.Random | None = None) -> Tensor:
        """What a sample shows of a picture or clip, not mirrored."""
        height, width = whole.shape[-2:]
        if draw and config.augment == "crop":
            box = framing.random_box(height, width, config.scale, draw)
        else:
            box = (0, 0, height, width) if config.resize == "squash" else framing.centre(height, width)
        return framing.square(whole, box, config.image_size, config.interpolation)

    def value(self, split: str, number: int, column: str, epoch: int, seed: int) -> Any | UnusableSample:
        """A caption, or what is said of it, without its file: readers learn from all of them."""
        entry, which = self._catalogue.at(split, number)
        if column == self.column or self.columns[column].kind != "raw" or entry.fault:
            return super().value(split, number, column, epoch, seed)
        which = _which(entry, which, _draws(seed, split, number, epoch) if split == "train" else None)
        caption = entry.captions[which]
        return caption if column == "caption" else self.beside(column, entry.more[which], caption)

    def problems(self, thorough: bool = False) -> list[str]:
        """Bad records; missing files and bad headers (of the first hundred files of each split, or all); files that
        lie in two splits, records that no split takes, splits that were drawn."""
        found: list[str] = [Flaw(one) for one in self._catalogue.problems("splits" in self.config.model_fields_set)]
        if self.config.flip and framing.of_another_writing(self._captions(FIRST), self.config.flip_unless):
            what = "data.flip mirrors pictures, and its words for left and right are in letters that most captions lack"
            hint = "set data.flip_unless: how these words begin in the captions' language"
            found.append(Flaw(Problem(self._catalogue.manifests[0].place(), "", what, hint, note=True)))
        near = Near(self._roots)
        known: dict[int, tuple[str, str]] = {}
        for split, before, entry in self._catalogue.entries(None if thorough else FIRST):
            what, hint, lost = entry.fault, "", 1
            if not what and (thorough or before < FIRST):
                what, hint, lost = self._faults(entry, known, near)
            if what:
                found.append(
                    Flaw(
                        Problem(
                            self._catalogue.place(entry),
                            "",
                            what,
                            hint or "correct it, or take the record out",
                        ),
                        split,
                        lost,
                    )
                )
        return found

    def _captions(self, count: int) -> list[str]:
        """Of the first training files."""
        entries = (entry for split, _, entry in self._catalogue.entries(count) if split == "train" and not entry.fault)
        return [caption for entry in islice(entries, count) for caption in entry.captions]

    def _faults(self, entry: CatalogueEntry, known: dict[int, tuple[str, str]], near: Near) -> tuple[str, str, int]:
        """Why samples of an entry cannot be used, what to do, and how many: all where its file cannot.

        known  what files have been found to be, by number
        """
        each = self.config.captions == "each"
        if entry.number not in known and self.column in self.columns:
            known[entry.number] = self._file_fault(entry, near)
        what, hint = known.get(entry.number, ("", ""))
        if what:
            return what, hint, len(entry.captions) if each else 1
        lost = 0
        for caption, more in zip(entry.captions, entry.more) if self._further else ():
            try:
                for name in self._further:
                    self.beside(name, more, caption)
            except (PathError, PictureError) as error:
                what, hint, lost = what or f"{entry.file} {error}", getattr(error, "hint", ""), lost + 1
        return what, hint, lost if each else min(lost, 1)

    def _file_fault(self, entry: CatalogueEntry, near: Near) -> tuple[str, str]:
        file = entry.file
        try:
            self.looked_at(path := bytes_of(entry.lies) if entry.lies else self._roots(file))
        except PathError as error:
            return f"{file} {error}", error.hint
        except PictureError as error:
            like = None if entry.lies or os.path.exists(path) else near(file)
            return f"{file} {error}{f'; {like[0]}' if like else ''}", like[1] if like else ""
        return "", ""

    def digest(self) -> str:
        """sha256 of the manifests' bytes and of every option but where the files lie."""
        return self._digest

    def _hashed(self, listed: Sequence[tuple[str, Opened]]) -> str:
        fields = type(self.config).model_fields
        left_out = {name for name, field in fields.items() if field.json_schema_extra in (PATH, PLACE)}
        left_out |= {name for name in LATER if getattr(self.config, name) == fields[name].default}
        options: Mapping[str, Any] = self.config.model_dump(mode="json", exclude=left_out)
        text = json.dumps({**options, "max_pixels": self.max_pixels}, sort_keys=True)
        if isinstance(self.config.manifest, str) and len(listed) == 1:
            hashed = listed[0][1].hashed
        else:
            hashed = hashlib.sha256("".join(f"{split} {one.hashed.hexdigest()}\n" for split, one in listed).encode())
        hashed.update(text.encode())
        return hashed.hexdigest()


def _colours(given: Colours, known: dict[str, tuple[float, float, float]]) -> tuple[float, float, float]:
    return known[given] if isinstance(given, str) else given


def _which(entry: CatalogueEntry, which: int | None, draw: random.Random | None) -> int:
    """The caption `which`; with `captions: one` the first drawn in training, the first written elsewhere."""
    if which is None:
        which = draw.randrange(len(entry.captions)) if draw else 0
    return which


def _draws(seed: int, split: str, number: int, epoch: int) -> random.Random:
    """The random numbers of one sample as one epoch shows it."""
    name = f"captions/{seed}/{split}/{number}/{epoch}".encode()
    return random.Random(int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()))
