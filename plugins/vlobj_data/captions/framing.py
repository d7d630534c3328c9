"""From a photo of any size to a square of pixels: crop, resize, flip."""

import math
import random
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np
from torch import Tensor, float32
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as change

SIDES = ("left", "right")
LATIN = re.compile("[a-z]")

Box = tuple[int, int, int, int]  # top, left, height, width
MODES = {"bilinear": "bilinear", "bicubic": "bicubic", "nearest": "nearest-exact"}
"""What torch calls an interpolation; its `nearest-exact` is what Pillow calls nearest."""


class Framing(NamedTuple):
    """How a picture came to be shown: `box` of its `whole` (height, width) at size x size, mirrored or not.

    A box may lie beyond the picture: then what is shown is padded.
    """

    whole: tuple[int, int]
    box: Box
    size: int
    flipped: bool = False

    def across(self, x: float) -> float:
        """Where x of the file, in pixels, is shown."""
        shown = (x - self.box[1]) * self.size / self.box[3]
        return self.size - shown if self.flipped else shown

    def down(self, y: float) -> float:
        return (y - self.box[0]) * self.size / self.box[2]

    def columns(self) -> np.ndarray:
        """x of the file at the middle of each column that is shown."""
        found = self.box[1] + (np.arange(self.size) + 0.5) * self.box[3] / self.size
        return found[::-1] if self.flipped else found

    def rows(self) -> np.ndarray:
        return self.box[0] + (np.arange(self.size) + 0.5) * self.box[2] / self.size

    def of(self, whole: Tensor, interpolation: str, around: tuple[float, ...]) -> Tensor:
        """What is shown of a picture, uint8 [...,3,H,W], as [...,3,S,S]; see `square`."""
        made = square(whole, self.box, self.size, interpolation, around)
        return made.flip(-1) if self.flipped else made


def centre(height: int, width: int) -> Box:
    """The largest square in the middle."""
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def around(height: int, width: int) -> Box:
    """The smallest square around a picture, the picture in its middle."""
    side = max(height, width)
    return -((side - height) // 2), -((side - width) // 2), side, side


def all_of(height: int, width: int) -> Box:
    return 0, 0, height, width


RESIZED = {"squash": all_of, "crop": centre, "pad": around}
"""The option `resize` -> the box that is shown."""


def random_box(height: int, width: int, scale: tuple[float, float], draw: random.Random) -> Box:
    """A box of `scale` of the area and a shape between 3:4 and 4:3 (Szegedy et al. 2015, section 6), at any place.

    Where ten draws do not fit (very long pictures) it is the centre's square.
    """
    for _ in range(10):
        area = height * width * draw.uniform(*scale)
        ratio = math.exp(draw.uniform(math.log(3 / 4), math.log(4 / 3)))
        high, wide = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < high <= height and 0 < wide <= width:
            return draw.randint(0, height - high), draw.randint(0, width - wide), high, wide
    return centre(height, width)


def square(
    picture: Tensor, box: Box, size: int, interpolation: str = "bilinear", around: tuple[float, ...] = (0.0, 0.0, 0.0)
) -> Tensor:
    """The box of a picture (of each frame), uint8 [...,3,H,W], as [...,3,size,size]: cut first, so that a long picture
    never grows huge.

    around  colour (0..1) of what the box holds beyond the picture
    """
    top, left, high, wide = box
    mode = InterpolationMode(MODES[interpolation])
    height, width = picture.shape[-2:]
    if 0 <= top <= height - high and 0 <= left <= width - wide:
        cut = picture[..., top : top + high, left : left + wide]
        return change.resize(cut, [size, size], mode, antialias=True)
    down, across = max(1, round(height * size / high)), max(1, round(width * size / wide))
    colour = (picture.new_tensor(around, dtype=float32) * 255).round().to(picture.dtype)[:, None, None]
    made = colour.expand(*picture.shape[:-2], size, size).clone()
    first, start = (size - down) // 2, (size - across) // 2
    made[..., first : first + down, start : start + across] = change.resize(
        picture, [down, across], mode, antialias=True
    )
    return made


def may_flip(caption: str, sides: Iterable[str] = SIDES) -> bool:
    """Whether the caption stays true when its picture is mirrored: no word of it begins with one of `sides`.

    In writing without capitals (Chinese, Thai, Arabic, ...), where words are not set apart or carry what stands before
    them, none may stand anywhere in it.
    """
    return _naming(tuple(sides)).search(_plain(caption)) is None


def of_another_writing(captions: Iterable[str], sides: Iterable[str]) -> bool:
    """Whether most captions have no Latin letter and all `sides` have, so that these cannot be their words."""
    latin = [LATIN.search(_plain(side)) is not None for side in sides]
    strange = [LATIN.search(_plain(caption)) is None for caption in captions]
    return bool(latin) and all(latin) and 2 * sum(strange) > len(strange)


@cache
def _naming(sides: tuple[str, ...]) -> re.Pattern[str]:
    words = [_plain(side) for side in sides]
    return re.compile(
        "|".join(re.escape(word) if word.upper() == word else rf"\b{re.escape(word)}" for word in words) or r"(?!)"
    )


def _plain(text: str) -> str:
    """Without capitals, each letter written in one way."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
