"""From a photo of any size to a square of pixels: crop, resize, flip."""

import math
import random
import re

from torch import Tensor
from torchvision.transforms.v2 import functional as change

SIDES = re.compile(r"\b(left|right)", re.IGNORECASE)

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


def square(picture: Tensor, box: Box, size: int) -> Tensor:
    """The box of a picture (of each frame), uint8 [...,3,H,W], as [...,3,size,size]: cut first, so that a long picture
    never grows huge."""
    top, left, high, wide = box
    return change.resize(picture[..., top:top + high, left:left + wide], [size, size], antialias=True)


def may_flip(caption: str) -> bool:
    """Whether the caption stays true when its picture is mirrored: it names neither left nor right."""
    return SIDES.search(caption) is None
