"""What sources with a manifest share: files in a folder, captions, splits, framing, faults that are counted."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from vlobj_data.captions import draws, framing, recognised
from vlobj_data.captions.catalogue import Catalogue, CatalogueEntry
from vlobj_data.captions.columns import Column, Further, specs, texts
from vlobj_data.captions.config import LATER, ListedConfig, content_hash, folders, normalization, plain, read_as
from vlobj_data.captions.framing import Framing
from vlobj_data.captions.kept import table_of
from vlobj_data.captions.near import Near
from vlobj_data.captions.roots import PathError, Roots
from vlobj_data.forms.asked import Asked, Kind
from vlobj_data.forms.opening import Opened, opened
from vlobj_data.forms.records import Record
from vlobj_data.forms.slices import bytes_of
from vlobj_data.lazy import Columns
from vlobj_data.views import ViewConfig, show, view_columns, view_specs
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
    later: ClassVar[tuple[str, ...]] = LATER

    def __init__(self, config: ListedConfig, max_pixels: int = 64_000_000):
        """Reads the manifest, no file. Raises DataError where it or the folder is missing or broken."""
        super().__init__(config)
        self.max_pixels = max_pixels
        vectors = Roots(folders(config.vectors, config.manifest), "data.vectors", "vectors", config.links)
        self._more = Further(self.declared(config), vectors)
        roots, read = read_as(config, getattr(config, self.folder), self.asked())
        listed = [(split, opened(path, asked)) for split, path, asked in read]
        self._roots = Roots(roots, f"data.{self.folder}", self.plural, config.links)
        splits = {split: [split] for split in config.manifest} if isinstance(config.manifest, dict) else config.splits
        records = [self._of_split(split, self.sound(one)) for split, one in listed]
        bound = [self._more.declared, *map(content_hash, self.joined())]
        table = table_of(listed, records, [asked for *_, asked in read], splits, config.hold_out, bound)
        manifests = [one.manifest for _, one in listed]
        self._catalogue = Catalogue(table, manifests, splits, config.captions == "each")
        self._digest = self._hashed(listed)
        self.columns = self.described(config)
        self._views = self.viewed(config)
        self._beside = [name for name in self._more.declared if name not in self._more.of("boxes", "image")]

    def asked(self) -> Asked:
        """What is read of the manifests."""
        raise NotImplementedError

    def joined(self) -> list[str]:
        """Files from which more is joined to the records."""
        return []

    def sound(self, opened: Opened) -> Iterator[Record]:
        """The records of a manifest; those of which something further cannot be used get a fault."""
        return map(self._more.sound, opened.records) if self._more.declared else opened.records

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

    @classmethod
    def declared(cls, config: Any) -> Mapping[str, Column]:
        """The further keys of records that are read."""
        return config.columns

    @classmethod
    def viewed(cls, config: Any) -> dict[str, ViewConfig]:
        """Each view by its column; one that says no size has that of the picture."""
        return {
            column: view if view.size else view.model_copy(update={"size": config.image_size})
            for column, view in view_columns(config.views).items()
        }

    @classmethod
    def shape(cls, config: Any) -> tuple[int, ...]:
        """Of what a sample shows."""
        return 3, config.image_size, config.image_size

    @classmethod
    def described(cls, config: Any) -> dict[str, FieldSpec]:
        """The columns, which hang on no file."""
        mean, std = normalization(config)
        picture = FieldSpec("picture", cls.shape(config), mean=mean, std=std)
        return (
            {cls.column: picture}
            | {name: FieldSpec("raw", of_caption=True) for name in ("caption", *draws.columns(config.captions))}
            | view_specs(cls.viewed(config), picture)
            | specs(cls.declared(config), picture)
        )

    @classmethod
    def recognised(cls, path: Path, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """The manifest, the folders in which its files are found, and its splits where they need a word."""
        return recognised.options(path, cls.kind, cls.folder, cls.Config, given)

    def summary(self) -> DataSummary:
        return recognised.summary(self.config, self._catalogue.manifests, self._catalogue.named)

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
        draw = draws.random_numbers(seed, split, number, epoch) if split == "train" else None
        shown = draws.chosen(self.config.captions, entry.captions, entry.more, which, draw)
        more, caption = entry.more[shown[0].of], shown[0].text

        def own(name: str) -> random.Random | None:
            return draw and draws.random_numbers(seed, split, number, epoch, name)

        try:
            values = draws.named(shown) | {
                name: self._more.value(name, more, caption, own(name)) for name in self._beside
            }
            if self.column not in self.columns:
                return Sample(values, entry.number, entry.file)
            whole = self.seen(self.config, self._file(entry.lies or entry.file, entry), self.max_pixels, draw)
            framing = self._framing(self.config, whole, draw)
            if draw and self.config.flip and draw.random() < 0.5:
                framing = framing._replace(flipped=self._may_flip(entry))
            for name in self._more.of("image"):
                other = self.seen(self.config, self._file(more[name], entry), self.max_pixels)
                alone = self._framing(self.config, other, own(name))
                values[name] = self._shown(self.config, other, alone._replace(flipped=framing.flipped))
        except (PathError, PictureError) as error:
            return UnusableSample(f"{place}: {entry.file} {error}", entry.file)
        values[self.column] = self._shown(self.config, whole, framing)
        drawn = (seed, epoch, number) if draw else (0, split, number)
        later: dict[str, Callable[[], Any]] = {
            name: partial(self._view, name, entry, whole, drawn) for name in self._views
        }
        later |= self.regions(more, caption, framing)
        if later:
            makers = later | {name: partial(values.__getitem__, name) for name in values}
            return Sample(Columns({name: makers[name] for name in self.columns}), entry.number, entry.file)
        return Sample({name: values[name] for name in self.columns}, entry.number, entry.file)

    def _file(self, held: Any, entry: CatalogueEntry) -> Path | bytes:
        """A picture of an entry: its file, or the bytes of a slice."""
        return self._roots(held) if isinstance(held, str) else bytes_of(self._catalogue.lies(held, entry.manifest))

    def _view(self, column: str, entry: CatalogueEntry, whole: Tensor, drawn: tuple[int, int | str, int]) -> Tensor:
        view = self._views[column]
        return show(whole, view, column, *drawn, may_flip=view.flip and self._may_flip(entry))

    def _may_flip(self, entry: CatalogueEntry) -> bool:
        """Whether all that may be taught with a picture stays true of its mirror image."""
        beside = (one for more in entry.more for name in self._more.of("text", "caption") for one in texts(more[name]))
        return all(framing.may_flip(one, self.config.flip_unless) for one in (*entry.captions, *beside))

    def regions(self, more: Mapping[str, Any], caption: str, framing: Framing) -> dict[str, Callable[[], Any]]:
        """Columns of what lies where in the picture as it is shown, each made when it is asked for."""
        return {}

    @classmethod
    def framed(cls, config: ListedConfig, spec: FieldSpec, picture: Any, max_pixels: int) -> Tensor:
        """As the run's held-out pictures are decoded, cut and resized."""
        whole = cls.seen(config, picture, max_pixels)
        return cls._shown(config, whole, cls._framing(config, whole))

    @classmethod
    def _framing(cls, config: ListedConfig, whole: Tensor, draw: random.Random | None = None) -> Framing:
        """How a picture or clip is framed; it is not mirrored."""
        height, width = whole.shape[-2:]
        if draw and config.augment == "crop":
            box = framing.random_box(height, width, config.scale, draw)
        else:
            box = framing.RESIZED[config.resize](height, width)
        return Framing((height, width), box, config.image_size)

    @classmethod
    def _shown(cls, config: ListedConfig, whole: Tensor, framing: Framing) -> Tensor:
        return framing.of(whole, config.interpolation, normalization(config)[0])

    def value(self, split: str, number: int, column: str, epoch: int, seed: int) -> Any | UnusableSample:
        """A caption, or what is said of it, without its file: readers learn from all of them."""
        entry, which = self._catalogue.at(split, number)
        said = column in ("caption", *draws.columns(self.config.captions))
        if entry.fault or not (said or (column in self._beside and self.columns[column].kind == "raw")):
            return super().value(split, number, column, epoch, seed)
        draw = draws.random_numbers(seed, split, number, epoch) if split == "train" else None
        shown = draws.chosen(self.config.captions, entry.captions, entry.more, which, draw)
        if said:
            return draws.named(shown)[column]
        own = draw and draws.random_numbers(seed, split, number, epoch, column)
        return self._more.value(column, entry.more[shown[0].of], shown[0].text, own)

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
                place, hint = self._catalogue.place(entry), hint or "correct it, or take the record out"
                found.append(Flaw(Problem(place, "", what, hint), split, lost))
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
        for caption, more in zip(entry.captions, entry.more) if self._more.declared else ():
            try:
                for name in self._beside:
                    self._more.value(name, more, caption, None)
                for name in self._more.of("image"):
                    self.looked_at(self._file(more[name], entry))
            except (PathError, PictureError) as error:
                what, hint, lost = what or f"{entry.file} {error}", getattr(error, "hint", ""), lost + 1
        return what, hint, lost if each else min(lost, 1)

    def _file_fault(self, entry: CatalogueEntry, near: Near) -> tuple[str, str]:
        file = entry.file
        try:
            self.looked_at(path := self._file(entry.lies or file, entry))
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
        text = plain(self.config, self.later, max_pixels=self.max_pixels)
        if isinstance(self.config.manifest, str) and len(listed) == 1:
            hashed = listed[0][1].hashed
        else:
            hashed = hashlib.sha256("".join(f"{split} {one.hashed.hexdigest()}\n" for split, one in listed).encode())
        hashed.update("".join([text, *map(content_hash, self.joined())]).encode())
        return hashed.hexdigest()
