"""From a photo of any size to a square of pixels: crop, resize, flip."""

import math
import random
import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as change

SIDES = ("left", "right")
LATIN = re.compile("[a-z]")

Box = tuple[int, int, int, int]  # top, left, height, width


def centre(height: int, width: int) -> Box:
    """The largest square in the middle."""
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


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


def square(picture: Tensor, box: Box, size: int, interpolation: str = "bilinear") -> Tensor:
    """The box of a picture (of each frame), uint8 [...,3,H,W], as [...,3,size,size]: cut first, so that a long picture
    never grows huge."""
    top, left, high, wide = box
    return change.resize(
        picture[..., top : top + high, left : left + wide],
        [size, size],
        InterpolationMode(interpolation),
        antialias=True,
    )


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
