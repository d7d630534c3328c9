"""Further views of a picture: random crops of a size of their own, with colour jitter, for any source of pictures.

crop    a random box of a share of the area and a shape between 3:4 and 4:3 (Szegedy et al. 2015, section 6), resized;
        small ones beside large ones are the local and global crops of SwAV (arXiv 2006.09882) and DINO (2104.14294)
jitter  brightness, contrast, saturation and, if asked, hue, in random order, as torchvision's ColorJitter
then torchvision's transforms by name: blur, grey, solarised, RandAugment, ...; see `transforms`

What is drawn is a pure function of (seed, epoch, number, name of the view): the same after a resume and for any number
of processes and workers.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from vlobj_data.transforms import check_transforms, transformed
from vlobjectives import Config, FieldSpec, Share, Side

if TYPE_CHECKING:
    from torch import Tensor

TRIES = 10
SHAPES = math.log(3 / 4), math.log(4 / 3)
"""Logarithms of the narrowest and the widest box, width over height."""

Box = tuple[int, int, int, int]  # top, left, height, width


class ViewConfig(Config):
    """How a further view of a picture (or of all frames of a clip alike) is made."""

    crop: tuple[Share, Share] = Field((0.4, 1.0), description="share of the picture's area that its box covers")
    jitter: Share = Field(
        0.0, description="brightness and contrast by factors of 1 - s to 1 + s, saturation by half as much"
    )
    hue: Annotated[float, Field(ge=0, le=0.5)] = Field(
        0.0, description="turns hues by up to this part of the circle; captions that name colours then turn false"
    )
    flip: bool = Field(False, description="mirrors half of them, never those whose captions name a side")
    transforms: list[dict[str, dict[str, Any] | None]] = Field(
        [],
        description="torchvision's transforms (v2) that follow, by name: [{RandomGrayscale: {p: 0.2}}, "
        "{GaussianBlur: {kernel_size: 9}}, {RandAugment: {}}]",
    )
    size: Side | None = Field(None, description="pixels a side; by default those of the picture")
    count: Annotated[int, Field(ge=1, le=64)] = Field(
        1, description="so many views: with 2 or more of `local` the columns local_1, local_2, ..."
    )

    @field_validator("crop")
    @classmethod
    def _in_order(cls, crop: tuple[float, float]) -> tuple[float, float]:
        if not 0 < crop[0] <= crop[1] <= 1:
            raise ValueError("must be two shares in order, over 0 and at most 1")
        return crop

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without transforms a view is written, and its data digested, as it was before there were any."""
        made: dict[str, Any] = handler(self)
        return {name: value for name, value in made.items() if name != "transforms" or value}

    @field_validator("transforms")
    @classmethod
    def _are_there(cls, transforms: list[dict[str, Any]]) -> list[dict[str, Any]]:
        check_transforms(transforms)
        return transforms


Views = dict[str, ViewConfig]
"""The option `views` of a source."""


def view_columns(views: Mapping[str, ViewConfig], taken: Collection[str] = ()) -> dict[str, ViewConfig]:
    """Each view by its column. Raises ValueError where a column has no plain name, stands twice or is `taken`."""
    named: dict[str, ViewConfig] = {}
    for name, view in views.items():
        if not name.isidentifier():
            raise ValueError(f"'{name}' is no name for a view's column: letters, digits and _ alone")
        for column in [name] if view.count == 1 else [f"{name}_{place}" for place in range(1, view.count + 1)]:
            if column in named or column in taken:
                raise ValueError(f"a view would be called '{column}', as another column is: give it another name")
            named[column] = view
    return named


def view_specs(named: Mapping[str, ViewConfig], picture: FieldSpec) -> dict[str, FieldSpec]:
    """What the columns of views are, beside the picture's own FieldSpec."""
    *before, height, width = picture.shape
    return {
        column: replace(picture, shape=(*before, view.size or height, view.size or width))
        for column, view in named.items()
    }


def tiny_views(views: Mapping[str, ViewConfig], whole: int, pixels: int) -> dict[str, ViewConfig]:
    """Views for `--tiny`: of a picture of `pixels` a side in place of `whole`; what was smaller is half of it."""
    return {
        name: view.model_copy(update={"size": pixels // 2 if view.size < whole else pixels}) if view.size else view
        for name, view in views.items()
        if isinstance(view, ViewConfig)  # in a recipe that is refused anything may stand here
    }


def show(
    picture: "Tensor", view: ViewConfig, column: str, seed: int, when: int | str, number: int, may_flip: bool = False
) -> "Tensor":
    """The view of a picture, uint8 [...,3,H,W], as [...,3,size,size].

    Args:
        picture: uint8 [3,H,W], or the frames of a clip [F,3,H,W], which are cut and jittered alike.
        view: What is drawn from.
        column: Name of the view.
        seed: Of the run in training; elsewhere one that is always the same.
        when: The epoch of training, elsewhere the split.
        number: The sample's.
        may_flip: Whether all that is said of the picture stays true when it is mirrored.
    """
    # Imported here: they take longer than a source, which a recipe may be checked without.
    import torch
    from torchvision.transforms.v2 import functional as change

    from vlobjectives.functional import prng_key, random_uniform

    key = prng_key(seed, "view", column, when)
    turn, *rest = random_uniform(key, torch.tensor([number]), 9 + 4 * TRIES)[0].tolist()
    box = _box(picture.shape[-2], picture.shape[-1], view.crop, rest[8:])
    side = [view.size, view.size] if view.size else list(picture.shape[-2:])
    made: Tensor = change.resized_crop(picture, *box, side, antialias=True)
    if view.flip and may_flip and turn < 0.5:
        made = made.flip(-1)
    brightness, contrast, saturation, hue = (2 * share - 1 for share in rest[:4])
    ways = (
        (change.adjust_brightness, 1 + view.jitter * brightness, view.jitter),
        (change.adjust_contrast, 1 + view.jitter * contrast, view.jitter),
        (change.adjust_saturation, 1 + view.jitter / 2 * saturation, view.jitter),
        (change.adjust_hue, view.hue * hue, view.hue),
    )
    for _, (way, by, strength) in sorted(zip(rest[4:8], ways, strict=True), key=lambda each: each[0]):
        if strength:
            made = way(made, by)
    if view.transforms:
        made = transformed(made, view.transforms, prng_key(seed, "transforms", column, when, number))
    return made


def _box(height: int, width: int, crop: tuple[float, float], draws: list[float]) -> Box:
    """A random box; where no try fits (very long pictures), the largest square in the middle."""
    for area, shape, down, right in zip(*[iter(draws)] * 4, strict=True):
        pixels = height * width * (crop[0] + (crop[1] - crop[0]) * area)
        ratio = math.exp(SHAPES[0] + (SHAPES[1] - SHAPES[0]) * shape)
        high, wide = round(math.sqrt(pixels / ratio)), round(math.sqrt(pixels * ratio))
        if 0 < high <= height and 0 < wide <= width:
            return int(down * (height - high + 1)), int(right * (width - wide + 1)), high, wide
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side
