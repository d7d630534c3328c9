"""Question-answer pairs of a scene. Answers are single words of a small vocabulary (ANSWERS)."""

from collections.abc import Callable
from typing import NamedTuple

from vlobj_data.scenes.claims import RELATIONS, holds
from vlobj_data.scenes.dice import Dice, stream
from vlobj_data.scenes.words import NUMBERS
from vlobj_data.scenes.world import COLOURS, MOTIONS, PATTERNS, SHAPES, SIZES, Scene, Thing

ANSWERS = (*COLOURS, *SHAPES, *SIZES, *PATTERNS, *NUMBERS, *MOTIONS, "yes", "no", "nothing")
_ASK = stream("questions")


class Question(NamedTuple):
    text: str
    answer: str
    kind: str


def questions(scene: Scene) -> list[Question]:
    """Questions that the picture (or clip) decides, one or none of each kind; which ones hangs on the scene alone.

    Kinds: colour, shape, size, pattern, count, exists (yes and no equally often), and side for pictures, motion for
    clips. A question about "the circle" is asked only where there is one circle.
    """
    dice = Dice(scene.look, _ASK)
    moving = any(thing.motion for thing in scene.things)
    asked = [
        ask(scene, dice) for ask in (_colour, _shape, _size, _pattern, _count, _exists, _motion if moving else _side)
    ]
    return [question for question in asked if question]


def _name(thing: Thing) -> str:
    return f"{COLOURS[thing.colour]} {SHAPES[thing.shape]}"


def _only(scene: Scene, key: Callable[[Thing], int]) -> list[Thing]:
    """Things that share their `key` with no other thing of the scene."""
    keys = [key(thing) for thing in scene.things]
    return [thing for thing in scene.things if keys.count(key(thing)) == 1]


def _colour(scene: Scene, dice: Dice) -> Question | None:
    things = _only(scene, lambda thing: thing.shape)
    if not things:
        return None
    thing = dice.pick(things)
    return Question(f"what colour is the {SHAPES[thing.shape]}?", COLOURS[thing.colour], "colour")


def _shape(scene: Scene, dice: Dice) -> Question | None:
    things = _only(scene, lambda thing: thing.colour)
    if not things:
        return None
    thing = dice.pick(things)
    return Question(f"what shape is {COLOURS[thing.colour]}?", SHAPES[thing.shape], "shape")


def _size(scene: Scene, dice: Dice) -> Question:
    thing = dice.pick(scene.things)
    return Question(f"what size is the {_name(thing)}?", SIZES[thing.size], "size")


def _pattern(scene: Scene, dice: Dice) -> Question:
    thing = dice.pick(scene.things)
    return Question(f"what pattern has the {_name(thing)}?", PATTERNS[thing.pattern], "pattern")


def _count(scene: Scene, dice: Dice) -> Question:
    """Of all, of a colour or of a shape; half of the latter two ask for what is there, so that not most are none."""
    about = dice.below(3)
    seen = dice.pick(scene.things) if dice.chance(0.5) else None
    if about == 0:
        return Question("how many objects are there?", NUMBERS[len(scene.things)], "count")
    if about == 1:
        colour = seen.colour if seen else dice.below(len(COLOURS))
        number = sum(thing.colour == colour for thing in scene.things)
        return Question(f"how many objects are {COLOURS[colour]}?", NUMBERS[number], "count")
    shape = seen.shape if seen else dice.below(len(SHAPES))
    number = sum(thing.shape == shape for thing in scene.things)
    return Question(f"how many objects are a {SHAPES[shape]}?", NUMBERS[number], "count")


def _exists(scene: Scene, dice: Dice) -> Question:
    """What is not there is made of a colour and a shape of the scene where it can be: binding decides it."""
    thing = dice.pick(scene.things)
    if dice.chance(0.5):
        return Question(f"is there a {_name(thing)}?", "yes", "exists")
    pairs = {thing.pair for thing in scene.things}
    crossed = [
        Thing(a.shape, b.colour, 0, 0, 0)
        for a in scene.things
        for b in scene.things
        if (a.shape, b.colour) not in pairs
    ]
    others = [
        Thing(thing.shape, colour, 0, 0, 0) for colour in range(len(COLOURS)) if (thing.shape, colour) not in pairs
    ]
    return Question(f"is there a {_name(dice.pick(crossed or others))}?", "no", "exists")


def _side(scene: Scene, dice: Dice) -> Question | None:
    """What is on a side of a thing, where that is one thing or nothing."""
    thing, word = dice.pick(scene.things), dice.pick(RELATIONS)
    there = [other for other in scene.things if holds(other, word, thing)]
    if len(there) > 1:
        return None
    return Question(f"what is {word} the {_name(thing)}?", SHAPES[there[0].shape] if there else "nothing", "side")


def _motion(scene: Scene, dice: Dice) -> Question:
    thing = dice.pick(scene.things)
    return Question(f"which way does the {_name(thing)} move?", MOTIONS[thing.motion], "motion")
