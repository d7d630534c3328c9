"""Kinds of fields: how each is put side by side, normalized, and made up for a plan. A new kind is one class here.

Tokens are no kind of this file: the fields of an input are joined into one sequence (data/collate.py).
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from vlobjectives.contracts.batch import Labels, Vectors
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.errors import PluginError

SLACK = 1e-3
"""How far floats may lie outside of 0..1 by rounding."""


class FieldKind:
    """What the host does with fields of one kind. The base is a number a sample."""

    name: ClassVar[str] = "number"
    fills: ClassVar[tuple[str, ...]] = ()
    """How masks may hide positions of an input of it, of the fills that the host knows."""
    positions: ClassVar[str] = "positions"
    """What messages call the positions of its encoder."""
    alone: ClassVar[bool] = False
    """Whether an input of it holds no other field."""

    def collate(self, name: str, spec: FieldSpec, rows: Sequence[Any]) -> Any:
        """The rows of samples side by side. Raises PluginError where a source or reader gives what cannot stand so."""
        for row in rows:
            if isinstance(row, str) or np.ndim(row) or row is None:
                raise PluginError(
                    f"'{name}' is a number by its FieldSpec, and a sample has {_brief(row)}", "give one number a sample"
                )
        values = torch.tensor([float(row) for row in rows], dtype=torch.float32)
        _finite(name, "number", values)
        return values

    def normalize(self, value: Any, spec: FieldSpec) -> Any:
        """A collated field as encoders get it, computed on its device."""
        return value

    def fake(self, spec: FieldSpec, rows: int) -> Any:
        """Made-up rows of full size, normalized; under a FakeTensorMode fake ones."""
        return torch.zeros(rows, *spec.shape)


class Picture(FieldKind):
    """Pictures [C,H,W] or clips [F,C,H,W]: uint8 until the device normalizes them, or floats."""

    name = "picture"
    fills = ("drop", "token", "pixels")
    positions = "patches"
    alone = True

    def collate(self, name: str, spec: FieldSpec, rows: Sequence[Any]) -> Tensor:
        pictures = [_picture(name, spec, row) for row in rows]
        if not all(picture.dtype == torch.uint8 for picture in pictures):
            pictures = [
                self.normalize(picture, spec)
                if picture.dtype == torch.uint8
                else (picture - _channels(tuple(spec.mean))) / _channels(tuple(spec.std))
                for picture in pictures
            ]
        return torch.stack(pictures) if pictures else torch.empty(0, *spec.shape, dtype=torch.uint8)

    def normalize(self, value: Any, spec: FieldSpec) -> Any:
        """uint8 [...,C,H,W] as floats less `mean` over `std`; floats are normalized already."""
        if not isinstance(value, Tensor) or value.dtype != torch.uint8:
            return value
        mean, std = (_channels(tuple(each), 255, value.device) for each in (spec.mean, spec.std))
        return (value.float() - mean) / std

    def fake(self, spec: FieldSpec, rows: int) -> Tensor:
        """Striped, since a loss over normalized patches costs nothing where a patch has one colour."""
        return (torch.arange(spec.shape[-1]) % 2 * 2.0 - 1).expand(rows, *spec.shape).clone()


class Spectrogram(FieldKind):
    """Spectrograms [bands,T] of sounds of any length, normalized band by band."""

    name = "spectrogram"
    fills = ("drop", "token", "pixels")
    positions = "patches"
    alone = True

    def collate(self, name: str, spec: FieldSpec, rows: Sequence[Any]) -> Tensor:
        """Rows of [bands,t], the first T windows of each, [B,bands,T]; what is shorter is filled with the mean."""
        bands, windows = spec.shape
        values = torch.zeros(len(rows), bands, windows)
        mean, std = (torch.tensor(each)[:, None] for each in (spec.mean, spec.std))
        for row, given in enumerate(rows):
            sound = torch.as_tensor(given, dtype=torch.float32)
            if sound.dim() != 2 or len(sound) != bands:
                raise PluginError(
                    f"'{name}' is a spectrogram of {bands} bands by its FieldSpec, and a sample has "
                    f"{list(sound.shape)}",
                    "give [bands,windows]",
                )
            if not sound.isfinite().all():
                raise PluginError(
                    f"'{name}' is a spectrogram, and a sample has NaN or infinity in it",
                    "add a floor before the logarithm is taken",
                )
            values[row, :, : sound.shape[1]] = ((sound - mean) / std)[:, :windows]
        return values

    def fake(self, spec: FieldSpec, rows: int) -> Tensor:
        """Striped, as pictures are."""
        return (torch.arange(spec.shape[-1]) % 2 * 2.0 - 1).expand(rows, *spec.shape).clone()


class LabelSet(FieldKind):
    """A set of labels a sample, [M] at most, with a number each."""

    name = "labels"

    def collate(self, name: str, spec: FieldSpec, rows: Sequence[Sequence[int | tuple[int, float]]]) -> Labels:
        """Rows of ids, or of ids with a number each (1 where none is given)."""
        most = spec.shape[0]
        ids = torch.zeros(len(rows), most, dtype=torch.int64)
        valid, value = torch.zeros(len(rows), most, dtype=torch.bool), torch.zeros(len(rows), most)
        for row, labels in enumerate(rows):
            pairs = [label if isinstance(label, tuple) else (label, 1.0) for label in labels[:most]]
            for place, (label, number) in enumerate(pairs):
                ids[row, place], value[row, place] = label, number
            valid[row, : len(pairs)] = True
        owned = ids[valid]
        if spec.vocabulary and not ((owned >= 0) & (owned < spec.vocabulary)).all():
            outside = owned[(owned < 0) | (owned >= spec.vocabulary)].unique().tolist()
            raise PluginError(
                f"'{name}' has the ids {outside[:8]}, and its vocabulary is {spec.vocabulary}",
                "give ids from 0 to one less than FieldSpec.vocabulary",
            )
        _finite(name, "set of labels", value)
        return Labels(ids, valid, value)

    def fake(self, spec: FieldSpec, rows: int) -> Labels:
        ids = torch.zeros(rows, *spec.shape, dtype=torch.int64)
        return Labels(ids, torch.ones_like(ids, dtype=torch.bool), torch.ones_like(ids, dtype=torch.float32))


class VectorSet(FieldKind):
    """A few vectors of one width a sample, [M,W] at most."""

    name = "vectors"
    fills = ("drop", "token")
    positions = "vectors"

    def collate(self, name: str, spec: FieldSpec, rows: Sequence[Any]) -> Vectors:
        """Rows of [m,W], the first M of each."""
        values = torch.zeros(len(rows), *spec.shape)
        valid = torch.zeros(len(rows), spec.shape[0], dtype=torch.bool)
        for row, vectors in enumerate(rows):
            shape = list(np.shape(vectors))
            if len(vectors) and shape[1:] != [spec.shape[1]]:
                raise PluginError(
                    f"'{name}' is vectors of width {spec.shape[1]} by its FieldSpec, and a sample has {shape}",
                    f"give rows [m,{spec.shape[1]}], m up to {spec.shape[0]}",
                )
            count = min(spec.shape[0], len(vectors))
            if count:
                values[row, :count] = torch.as_tensor(vectors[:count], dtype=torch.float32)
            valid[row, :count] = True
        _finite(name, "set of vectors", values)
        return Vectors(values, valid)

    def fake(self, spec: FieldSpec, rows: int) -> Vectors:
        values = torch.zeros(rows, *spec.shape)
        return Vectors(values, torch.ones(values.shape[:2], dtype=torch.bool))


KINDS: Mapping[str, FieldKind] = {
    kind.name: kind for kind in (Picture(), Spectrogram(), LabelSet(), VectorSet(), FieldKind())
}
"""Kind of a FieldSpec -> what the host does with it."""
FILLS: Mapping[str, tuple[str, ...]] = {"tokens": ("mask", "bert")} | {kind.name: kind.fills for kind in KINDS.values()}
"""Kind of a FieldSpec -> how masks may hide positions of an input that begins with it."""


def _finite(name: str, what: str, values: Tensor) -> None:
    """Raises PluginError for NaN and infinity."""
    if not values.isfinite().all():
        raise PluginError(
            f"'{name}' is a {what}, and a sample has NaN or infinity in it",
            "leave such samples out: an UnusableSample says why",
        )


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."


def _picture(name: str, spec: FieldSpec, row: Any) -> Tensor:
    """uint8, or float32 on the scale that `mean` and `std` are of."""
    picture = torch.as_tensor(np.ascontiguousarray(row) if isinstance(row, np.ndarray) else row)
    if picture.shape != spec.shape:
        raise PluginError(
            f"'{name}' is a picture of shape {list(spec.shape)} by its FieldSpec, and a sample has "
            f"{list(picture.shape)}",
            "give what FieldSpec says",
        )
    if picture.dtype == torch.uint8:
        return picture
    if not picture.is_floating_point():
        raise PluginError(
            f"'{name}' is a picture, and a sample has {_kind(picture)}", "give uint8, or floats on the scale 0..1"
        )
    picture, free = picture.float(), set(spec.mean) == {0.0} and set(spec.std) == {1.0}
    low, high = (edge.item() for edge in picture.aminmax())  # NaN where one is
    if not (picture.isfinite().all() if free else -SLACK <= low <= high <= 1 + SLACK):
        raise PluginError(
            f"'{name}' is a picture, and a sample has floats from {low:.3g} to {high:.3g}: the host "
            "normalises those from 0 to 1",
            "give uint8, or floats from 0 to 1; for what is normalised already write mean 0 and std 1 in its FieldSpec",
        )
    return picture


def _kind(picture: Tensor) -> str:
    return str(picture.dtype).removeprefix("torch.")


@cache
def _channels(shares: tuple[float, ...], white: int = 1, device: torch.device | str = "cpu") -> Tensor:
    """A number a channel on the scale 0..1, on that of `white`, [C,1,1]. Kept: a copy to a device waits for it."""
    return torch.tensor(shares, device=device).view(-1, 1, 1) * white
