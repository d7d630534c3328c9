"""Regions of a still scene as a detector would give them: boxes that overlap, and what the picture shows in each."""

from collections.abc import Iterator

import numpy as np

from vlobj_data.scenes import paint
from vlobj_data.scenes.dice import Dice, stream
from vlobj_data.scenes.paint import PaintedSpot
from vlobj_data.scenes.world import Scene

EACH = 3  # boxes of a thing: its own, and two that are shifted and stretched
SIDE = 8  # a region's pixels are brought to SIDE x SIDE
MOST = 4 * EACH
WIDTH = 3 * SIDE * SIDE + 6
SCALE = 64.0  # of pixel values, about their spread in a picture
_SHIFTED = stream("shifted box")

Box = tuple[int, int, int, int]


def regions(scene: Scene, picture: np.ndarray) -> np.ndarray:
    """float32 [3 things, WIDTH]: pixels (c, y, x) of the box at SIDE x SIDE, then six numbers that say where it lies.

    picture  uint8 [3,H,W], the scene's
    The six are x1/W, y1/H, x2/W, y2/H, width/W, height/H, as MVPTR's regions end (arXiv 2201.12596). Pixels are taken
    at the nearest place, less 128 and over SCALE.
    """
    size = picture.shape[-1]
    found = [np.concatenate([_pixels(picture, box), _place(box, size)]) for box in boxes(scene, size)]
    return np.stack(found).astype(np.float32)


def boxes(scene: Scene, size: int) -> Iterator[Box]:
    """x1, y1, x2, y2 (one past) of every region, thing after thing; they hang on `look` and never on attributes but
    through the things' own boxes."""
    for number, (thing, spot) in enumerate(zip(scene.things, paint.layout(scene, size), strict=True)):
        own = paint.box(thing, spot)
        yield own
        dice = Dice(scene.look, _SHIFTED, number)
        for _ in range(EACH - 1):
            yield _shifted(own, spot, dice, size)


def _shifted(own: Box, spot: PaintedSpot, dice: Dice, size: int) -> Box:
    """A box of which each side is moved by up to a third of the thing's radius, within the picture."""
    most = max(1, spot.radius // 3)
    x1, y1, x2, y2 = (edge + dice.below(2 * most + 1) - most for edge in own)
    return max(0, x1), max(0, y1), min(size, max(x2, x1 + 2)), min(size, max(y2, y1 + 2))


def _pixels(picture: np.ndarray, box: Box) -> np.ndarray:
    x1, y1, x2, y2 = box
    steps = 2 * np.arange(SIDE) + 1  # centres of SIDE equal parts, in halves
    rows, columns = y1 + steps * (y2 - y1) // (2 * SIDE), x1 + steps * (x2 - x1) // (2 * SIDE)
    return (picture[:, rows[:, None], columns].astype(np.float32).ravel() - 128) / SCALE


def _place(box: Box, size: int) -> np.ndarray:
    x1, y1, x2, y2 = box
    return np.array([x1, y1, x2, y2, x2 - x1, y2 - y1], dtype=np.float32) / size
