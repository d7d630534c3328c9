"""What a reader of descriptions scores at retrieval: the ceiling that stands beside a model's R@1.

Three readers. `all` takes everything a caption claims; it reaches 100 % wherever the proof of `sets` holds.
`attributes` binds attributes to things and counts the things, but is blind to places, relations and motions.
`words` knows only which attribute words occur how often, and not what belongs to what: a model above it binds.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from vlobj_data.scenes.claims import Claims, fits
from vlobj_data.scenes.sets import caption_of, fixed_template, scene_of
from vlobj_data.scenes.world import Scene, SceneWorld

Reads = Literal["all", "attributes", "words"]
_ATTRIBUTES = ("shape", "colour", "size", "pattern")


class Ceiling(NamedTuple):
    """R@1 of an oracle, each a share 0..1 over all captions or pictures; ties count as a fair draw among them."""

    text_to_image: float
    image_to_text: float


def oracle_r_at_1(
    world: SceneWorld, split: str, numbers: Sequence[int], gallery: int | None = None, reads: Reads = "all"
) -> Ceiling:
    """R@1 of the oracle on the evaluation captions of these scenes.

    gallery  scenes a gallery: consecutive ones of `numbers`, the last gallery may be smaller; None: all in one
    """
    numbers = list(numbers)
    if not numbers:
        raise ValueError("an oracle needs one scene or more")
    size = gallery or len(numbers)
    image, text = 0.0, 0.0
    for first in range(0, len(numbers), size):
        some = numbers[first : first + size]
        scenes = [scene_of(world, split, number) for number in some]
        said = [
            caption_of(world, scene, fixed_template(world, split, number)).claims
            for number, scene in zip(some, scenes, strict=True)
        ]
        fitting = _fitting(said, scenes, reads)
        pictures = [0] * len(some)
        for chosen in fitting:
            for index in chosen:
                pictures[index] += 1
        image += sum(1 / len(chosen) for chosen in fitting)
        text += sum(1 / captions for captions in pictures)
    return Ceiling(image / len(numbers), text / len(numbers))


def _fitting(said: list[Claims], scenes: list[Scene], reads: Reads) -> list[list[int]]:
    """For each caption the indices of the scenes that it fits; its own is always among them."""
    if reads == "words":
        return [_same_words(claims, scenes) for claims in said]
    if reads == "attributes":
        said = [
            Claims(tuple(mention.bare() for mention in claims.mentions), total=len(claims.mentions)) for claims in said
        ]
    return [[index for index, scene in enumerate(scenes) if fits(claims, scene)] for claims in said]


def _same_words(claims: Claims, scenes: list[Scene]) -> list[int]:
    """Scenes with the same multiset of shapes, of colours, and of sizes and patterns where the caption says them."""
    bags = {
        name: sorted(getattr(mention, name) for mention in claims.mentions)
        for name in _ATTRIBUTES
        if all(getattr(mention, name) is not None for mention in claims.mentions)
    }
    return [
        index
        for index, scene in enumerate(scenes)
        if all(bag == sorted(getattr(thing, name) for thing in scene.things) for name, bag in bags.items())
    ]
