"""Twins: pairs of scenes that differ in one thing, by which an evaluation asks what a model tells apart.

colour  one thing has another colour
shape   one thing has another shape
swap    two things have exchanged their colours: the same words in another order, only binding tells
"""

import re
from typing import NamedTuple

import numpy as np

from vlobj_data.scenes import paint
from vlobj_data.scenes.dice import Dice, stream
from vlobj_data.scenes.sets import caption_of, draw, told_apart
from vlobj_data.scenes.words import TEMPLATES, Caption
from vlobj_data.scenes.world import (
    COLOURS,
    SHAPES,
    SPLITS,
    NoScene,
    Scene,
    SceneWorld,
    legal,
    recoloured,
    reshaped,
    swapped,
)

KINDS = ("colour", "shape", "swap")
_TWINS = stream("evaluation twins")
_ATTEMPTS = 2000
Span = tuple[int, int]


class TwinScenes(NamedTuple):
    """Two scenes, their captions by one template, what differs.

    things  indices of the things that differ
    spans   characters (first, last + 1) of the words that differ, for each caption
    """

    scenes: tuple[Scene, Scene]
    captions: tuple[Caption, Caption]
    things: tuple[int, ...]
    spans: tuple[tuple[Span, ...], tuple[Span, ...]]


def twin_scenes(world: SceneWorld, split: str, kind: str, number: int) -> TwinScenes:
    """Pair `number` of a kind: a pure function of its arguments. Each caption is false of the other scene.

    The pairs are drawn aside from the split's own scenes, by the same rules on combinations.
    """
    if kind not in KINDS:
        raise ValueError(f"twins differ in one of {', '.join(KINDS)}, not in {kind!r}")
    for attempt in range(_ATTEMPTS):
        dice = Dice(world.seed, SPLITS.index(split), _TWINS, KINDS.index(kind), number, attempt)
        scene = draw(world, split, dice)
        template = dice.below(TEMPLATES)
        changed = _change(scene, kind, dice)
        if changed is None:
            continue
        twin, things = changed
        if twin != scene and legal(twin, split) and told_apart(world, scene, twin, template):
            captions = caption_of(world, scene, template), caption_of(world, twin, template)
            return TwinScenes((scene, twin), captions, things, differing(captions[0].text, captions[1].text))
    raise NoScene(f"split {split} has no {kind} twins: it needs scenes of two things or more")


def _change(scene: Scene, kind: str, dice: Dice) -> tuple[Scene, tuple[int, ...]] | None:
    index = dice.below(len(scene.things))
    if kind == "colour":
        return recoloured(scene, index, dice.below(len(COLOURS))), (index,)
    if kind == "shape":
        return reshaped(scene, index, dice.below(len(SHAPES))), (index,)
    if len(scene.things) < 2:
        return None
    one, other = sorted(dice.shuffled(range(len(scene.things)))[:2])
    return swapped(scene, one, other), (one, other)


def where(twins: TwinScenes, image_size: int) -> np.ndarray:
    """The pixels of the things that differ, of both scenes together, bool [H,W]; outside the pictures are equal."""
    found = np.zeros((image_size, image_size), dtype=bool)
    for scene in twins.scenes:
        spots = paint.layout(scene, image_size)
        for index in twins.things:
            found |= paint.mask(scene.things[index], spots[index], image_size)
    return found


def differing(left: str, right: str) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """Characters of the words in which two captions of equally many words differ."""
    pairs = list(zip(re.finditer(r"[a-z]+", left), re.finditer(r"[a-z]+", right), strict=True))
    unlike = [(a.span(), b.span()) for a, b in pairs if a.group() != b.group()]
    return tuple(a for a, _ in unlike), tuple(b for _, b in unlike)
