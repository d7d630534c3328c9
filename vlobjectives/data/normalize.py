"""Pictures side by side as encoders get them: on the scale 0..1, less the mean, over the spread that FieldSpec says."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vlobjectives.contracts.field import FieldSpec
from vlobjectives.errors import PluginError

SLACK = 1e-3
"""How far floats may lie outside of 0..1 by rounding."""


def stacked(name: str, spec: FieldSpec, rows: Sequence[Any]) -> Tensor:
    """The pictures of a field: all uint8 as they are, which the device normalises; else as normalised floats.

    Raises PluginError where a source or reader gives what no picture of this field can be.
    """
    pictures = [_picture(name, spec, row) for row in rows]
    if not all(picture.dtype == torch.uint8 for picture in pictures):
        pictures = [
            normalised(picture, spec)
            if picture.dtype == torch.uint8
            else (picture - _channels(tuple(spec.mean))) / _channels(tuple(spec.std))
            for picture in pictures
        ]
    return torch.stack(pictures) if pictures else torch.empty(0, *spec.shape, dtype=torch.uint8)


def normalised(pictures: Tensor, spec: FieldSpec) -> Tensor:
    """uint8 pictures [...,C,H,W] as floats less `mean` over `std`, on their device."""
    mean, std = (_channels(tuple(each), 255, pictures.device) for each in (spec.mean, spec.std))
    return (pictures.float() - mean) / std


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
