"""Captions that are false in one thing: hard negatives as in NegCLIP (arXiv 2210.01936), proved against the scene.

colour, shape, size, pattern   of one thing another value; of a clip also `motion`: the opposite way
swap                           the colours of two things exchanged: the same words in another order
relation                       left of for right of, above for below

But for a relation the false caption is the true one, by the same template, of a scene that differs in that one thing:
so it is grammatical, and no combination of shape and colour shows in a split that its scenes may not hold.
"""

from collections.abc import Iterator
from itertools import combinations

from vlobj_data.scenes.claims import fits
from vlobj_data.scenes.dice import Dice
from vlobj_data.scenes.sets import caption_of
from vlobj_data.scenes.words import Caption
from vlobj_data.scenes.world import COLOURS, MOTIONS, PATTERNS, SHAPES, SIZES, Scene, SceneWorld, legal, swapped

KINDS = ("colour", "shape", "size", "pattern", "motion", "swap", "relation")
_VALUES = {"colour": COLOURS, "shape": SHAPES, "size": SIZES, "pattern": PATTERNS}
_OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
_TURNED = (0, 2, 1, 4, 3)
"""Number of a motion -> that of the opposite way; what stays still has none."""


def wrong_caption(world: SceneWorld, scene: Scene, caption: Caption, split: str, dice: Dice) -> str:
    """The caption of a scene with one thing of it exchanged so that it is false of that scene."""
    if caption.text in SHAPES or caption.text in MOTIONS:  # cut to a word
        words = SHAPES if caption.text in SHAPES else MOTIONS[1:]
        return dice.pick([word for word in words if word != caption.text])
    return next(
        said.text
        for kind in dice.shuffled(KINDS)
        for said in exchanges(world, scene, caption, kind, split, dice)
        if not fits(said.claims, scene)
    )


def exchanges(
    world: SceneWorld, scene: Scene, caption: Caption, kind: str, split: str, dice: Dice
) -> Iterator[Caption]:
    """The caption with one thing of a kind exchanged, in random order; true where it is silent of that thing."""
    if kind == "relation":
        yield from (_turned(caption, index) for index in dice.shuffled(range(len(caption.claims.relations))))
        return
    for changed in dice.shuffled(list(_changed(scene, kind))):
        if legal(changed, split):
            yield caption_of(world, changed, caption.template)


def _changed(scene: Scene, kind: str) -> Iterator[Scene]:
    """The scenes that differ in one value, or in two colours exchanged."""
    things = scene.things
    if kind == "swap":
        for one, other in combinations(range(len(things)), 2):
            yield swapped(scene, one, other)
        return
    for place, thing in enumerate(things):
        old = getattr(thing, kind)
        new = [_TURNED[old]] if kind == "motion" else range(len(_VALUES[kind]))
        for value in new:
            if value != old:
                yield Scene((*things[:place], thing._replace(**{kind: value}), *things[place + 1 :]), scene.look)


def _turned(caption: Caption, index: int) -> Caption:
    """The caption with the opposite of a relation, whose word stands between the phrases of its two things."""
    relations = list(caption.claims.relations)
    first, word, second = relations[index]
    relations[index] = (first, _OPPOSITE[word], second)
    start, end = caption.phrases[first].end, caption.phrases[second].first
    between = caption.text[start:end].replace(word, _OPPOSITE[word])
    return caption._replace(
        text=caption.text[:start] + between + caption.text[end:],
        claims=caption.claims._replace(relations=tuple(relations)),
    )
