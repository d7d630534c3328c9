"""Pictures of scenes, by NumPy alone: backgrounds, things stamped from cached sprites, noise; boxes and masks.

All arithmetic is exact (whole numbers, also where floats hold them), so a picture is the same on every machine.
A thing never leaves its cell, so things never overlap.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from vlobj_data.scenes.dice import Dice, stream
from vlobj_data.scenes.world import COLOURS, PATTERNS, SHAPES, Scene, Thing

# Red, green, blue of each colour. None above 224, so that noise of 0..31 can be added without overflow.
INKS = {
    "red": (214, 20, 24),
    "green": (20, 160, 40),
    "blue": (30, 50, 224),
    "yellow": (224, 208, 20),
    "cyan": (30, 208, 216),
    "purple": (120, 10, 170),
    "pink": (224, 110, 176),
    "white": (224, 224, 224),
}
RADII = ((8, 9), (13, 14))  # small, large, in pixels of a picture of 64
_NODES = 5
_JITTER, _GROUND, _NOISE = stream("jitter"), stream("ground"), stream("noise")


class PaintedSpot(NamedTuple):
    """Centre and radius of a thing, in pixels."""

    x: int
    y: int
    radius: int


class Sprite(NamedTuple):
    """A thing to stamp: mask bool [D,D], ink uint8 [3,D,D]."""

    mask: np.ndarray
    ink: np.ndarray


def paint(scene: Scene, image_size: int = 64) -> np.ndarray:
    """The picture of a still scene, uint8 [3,H,W]."""
    picture = ground(scene.look, image_size)
    put(picture, scene.things, layout(scene, image_size))
    picture += noise(scene.look, image_size)
    return picture


def layout(scene: Scene, image_size: int) -> list[PaintedSpot]:
    """Where each thing stands. Hangs on cell, size and `look`; colour, shape and pattern change nothing."""
    dice = Dice(scene.look, _JITTER)
    draws = [(dice.word(), dice.word(), dice.word()) for _ in range(4)]  # for all cells, whichever are taken
    half = image_size // 2
    spots = []
    for thing in scene.things:
        wide, across, down = draws[thing.cell]
        radius = RADII[thing.size][wide >> 63] * image_size // 64
        room = max(0, half // 2 - radius - 1)
        choices = 2 * room + 1
        spots.append(
            PaintedSpot(
                thing.column * half + half // 2 + ((across * choices) >> 64) - room,
                thing.row * half + half // 2 + ((down * choices) >> 64) - room,
                radius,
            )
        )
    return spots


def put(picture: np.ndarray, things: Sequence[Thing], spots: Sequence[PaintedSpot]) -> None:
    """Stamps things on a picture, uint8 [3,H,W], in place."""
    size = picture.shape[-1]
    for thing, (x, y, r) in zip(things, spots, strict=True):
        sprite = _sprite(thing.shape, thing.colour, thing.pattern, r, size)
        np.copyto(picture[:, y - r : y + r + 1, x - r : x + r + 1], sprite.ink, where=sprite.mask)


def mask(thing: Thing, spot: PaintedSpot, image_size: int) -> np.ndarray:
    """The pixels of a thing, bool [H,W]."""
    x, y, r = spot
    found = np.zeros((image_size, image_size), dtype=bool)
    found[y - r : y + r + 1, x - r : x + r + 1] = outline(thing.shape, r)
    return found


def box(thing: Thing, spot: PaintedSpot) -> tuple[int, int, int, int]:
    """The tight box of a thing in pixels: x1, y1, x2, y2, the last two one past."""
    x, y, r = spot
    left, top, right, bottom = _bounds(thing.shape, r)
    return x - r + left, y - r + top, x - r + right, y - r + bottom


@lru_cache(maxsize=1024)
def outline(shape: int, radius: int) -> np.ndarray:
    """A shape of this radius, bool [2r+1,2r+1], read-only."""
    r = radius
    dy, dx = np.mgrid[-r : r + 1, -r : r + 1]
    distance = dx * dx + dy * dy
    disc = distance <= r * r + r // 2
    arm = 3 * r // 10
    found = {
        "circle": disc,
        "square": np.maximum(abs(dx), abs(dy)) <= 9 * r // 10,
        "triangle": 2 * abs(dx) <= dy + r,
        "cross": (abs(dx) <= arm) | (abs(dy) <= arm),
        "ring": disc & (100 * distance >= 36 * r * r),
        "bar": abs(dy) <= 4 * r // 10,
    }[SHAPES[shape]]
    found.setflags(write=False)
    return found


@lru_cache(maxsize=1024)
def _bounds(shape: int, radius: int) -> tuple[int, int, int, int]:
    solid = outline(shape, radius)
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@lru_cache(maxsize=8192)
def _sprite(shape: int, colour: int, pattern: int, radius: int, image_size: int) -> Sprite:
    solid = outline(shape, radius)
    ink = np.array(INKS[COLOURS[colour]], dtype=np.uint8)[:, None, None]
    dark = (ink * 0.3).astype(np.uint8)
    return Sprite(solid, np.where(_pattern(pattern, radius, image_size), dark, ink))


def _pattern(pattern: int, radius: int, image_size: int) -> np.ndarray:
    """Where a pattern is dark, bool [2r+1,2r+1]. Stripes run aslant, so that a bar shows them too."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    if PATTERNS[pattern] == "striped":
        return (x + y) // max(2, 3 * image_size // 64) % 2 == 1
    if PATTERNS[pattern] == "dotted":
        period, dot = max(3, 5 * image_size // 64), max(1, 2 * image_size // 64)
        return ((x + dot // 2) % period < dot) & ((y + dot // 2) % period < dot)
    return np.zeros(x.shape, dtype=bool)


def ground(look: int, image_size: int) -> np.ndarray:
    """A background, uint8 [3,H,W] of 24..150: a tint, a slope of light, and clouds of no, little or much weight."""
    dice = Dice(look, _GROUND)
    light = 56 + dice.below(64)
    clouds = dice.pick((0, 12, 28))
    slope = np.array([dice.below(25) - 12, dice.below(25) - 12])
    tint = np.array([dice.below(41) - 20 for _ in range(3)])
    y, x = _steps()
    grid = light + tint[:, None, None] + slope[0] * y + slope[1] * x
    if clouds:
        swing = _bytes(look, _GROUND, 3 * _NODES * _NODES).reshape(3, _NODES, _NODES).astype(np.int64)
        grid = grid + (swing * clouds >> 7) - clouds
    weights = _spread(image_size)
    # Whole numbers below 2**24: float32 holds every product and sum exactly, whatever order BLAS adds in.
    wide = weights @ np.clip(grid, 24, 150).astype(np.float32) @ weights.T
    return (wide * np.float32(1 / 256)).astype(np.uint8)


def noise(look: int, image_size: int) -> np.ndarray:
    """Noise for every pixel and channel, uint8 [3,H,W] of 0..31."""
    return _bytes(look, _NOISE, 3 * image_size * image_size).reshape(3, image_size, image_size) >> 3


def _bytes(look: int, purpose: int, count: int) -> np.ndarray:
    """Random bytes [count] that belong to a key: Philox's raw output, which NumPy keeps the same in all versions."""
    words = np.random.Philox(key=(look << 64) | purpose).random_raw((count + 7) // 8)
    return words.astype("<u8", copy=False).view(np.uint8)[:count]


@lru_cache(maxsize=1)
def _steps() -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.mgrid[0:_NODES, 0:_NODES] - _NODES // 2)


@lru_cache(maxsize=16)
def _spread(image_size: int) -> np.ndarray:
    """Weights float32 [H,nodes], in sixteenths: values at nodes carried to pixels along straight lines."""
    at = np.arange(image_size) * (16 * (_NODES - 1)) // max(1, image_size - 1)
    node = np.minimum(at // 16, _NODES - 2)
    weights = np.zeros((image_size, _NODES), dtype=np.float32)
    rows = np.arange(image_size)
    weights[rows, node] = 16 - (at - 16 * node)
    weights[rows, node + 1] = at - 16 * node
    return weights
