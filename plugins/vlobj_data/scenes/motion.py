"""Clips: scenes in which things move along their lane, and captions that say how.

The lanes of a clip are its two rows or its two columns. A moving thing runs from one end of its lane to the other
and has the lane for itself, so nothing ever overlaps. The frames as a set look the same whichever way it runs: with
the frames shuffled the direction cannot be told, with the frames reversed the caption is false.
"""

from typing import NamedTuple

import numpy as np

from vlobj_data.scenes import paint
from vlobj_data.scenes.dice import Dice, stream
from vlobj_data.scenes.words import NUMBERS, Caption, Writer
from vlobj_data.scenes.world import MOTIONS, Scene, SceneWorld, draw_things

_ORDER = stream("order of words")
_LANES = {"rows": ((0, 1), (2, 3)), "columns": ((0, 2), (1, 3))}
_WAYS = {"rows": ("right", "left"), "columns": ("down", "up")}
_SECOND = (0.2, 0.35, 0.3, 0.15)  # odds of the other lane: empty, another mover, one still thing, two of them


class Track(NamedTuple):
    """A thing's centre from the first frame to the last, in pixels."""

    first: tuple[int, int]
    last: tuple[int, int]


def draw_moving(world: SceneWorld, split: str, dice: Dice, things: int | None = None) -> Scene:
    """A scene for a clip by these dice: one to three things, at least one moving; `things=1` leaves one lane empty."""
    along = dice.pick(("rows", "columns"))
    mover, other = dice.shuffled(_LANES[along])
    second = 0 if things == 1 else dice.weighted(_SECOND)
    motion = {}
    for lane, kind in ((mover, 1), (other, second)):
        if kind == 1:
            way = dice.below(2)
            motion[lane[way]] = MOTIONS.index(_WAYS[along][way])
        elif kind == 2:
            motion[dice.pick(lane)] = 0
        elif kind == 3:
            motion |= dict.fromkeys(lane, 0)
    still = draw_things(split, dice, sorted(motion))
    return Scene(tuple(thing._replace(motion=motion[thing.cell]) for thing in still), dice.word())


def turned(scene: Scene) -> Scene:
    """The scene that runs the other way: every mover begins where it ended and goes where it came from."""
    found = []
    for thing in scene.things:
        along = next((along for along, ways in _WAYS.items() if MOTIONS[thing.motion] in ways), None)
        if along is not None:
            lane = next(lane for lane in _LANES[along] if thing.cell in lane)
            way = _WAYS[along].index(MOTIONS[thing.motion])
            thing = thing._replace(cell=lane[1 - way], motion=MOTIONS.index(_WAYS[along][1 - way]))
        found.append(thing)
    return Scene(tuple(sorted(found, key=lambda thing: thing.cell)), scene.look)


def tracks(scene: Scene, image_size: int) -> list[Track]:
    """The way of each thing's centre; still things have a way of length 0."""
    found = []
    half = image_size // 2
    for thing, spot in zip(scene.things, paint.layout(scene, image_size), strict=True):
        step = {"still": (0, 0), "left": (-half, 0), "right": (half, 0), "up": (0, -half), "down": (0, half)}
        dx, dy = step[MOTIONS[thing.motion]]
        found.append(Track((spot.x, spot.y), (spot.x + dx, spot.y + dy)))
    return found


def spots_at(scene: Scene, frame: int, frames: int, image_size: int) -> list[paint.PaintedSpot]:
    """Where the things are in a frame, in pixels."""
    found = []
    for spot, track in zip(paint.layout(scene, image_size), tracks(scene, image_size), strict=True):
        x, y = (a + ((b - a) * frame) // (frames - 1) for a, b in zip(*track, strict=True))
        found.append(spot._replace(x=x, y=y))
    return found


def paint_clip(scene: Scene, frames: int, image_size: int) -> np.ndarray:
    """The frames of a scene, uint8 [F,3,H,W]; the camera, and so the background with its noise, stands still."""
    if frames < 2:
        raise ValueError(f"a clip needs 2 frames or more to show a motion, not {frames}")
    ground, noise = paint.ground(scene.look, image_size), paint.noise(scene.look, image_size)
    clip = np.repeat(ground[None], frames, axis=0)
    for frame, picture in enumerate(clip):
        paint.put(picture, scene.things, spots_at(scene, frame, frames, image_size))
    clip += noise
    return clip


def motion_caption(scene: Scene, template: int) -> Caption:
    """The caption of a clip by one of five templates: list, places, count, still things first, grouped by motion."""
    if len(scene.things) == 1:
        return _single(scene, template)
    return _MANY[template](scene, Dice(scene.look, _ORDER, template))


def _does(motion: int) -> str:
    return f"moves {MOTIONS[motion]}" if motion else "stays still"


def _single(scene: Scene, template: int) -> Caption:
    writer = Writer(scene)
    way = MOTIONS[scene.things[0].motion]
    before, after = (
        ("only ", f" moves {way}"),
        ("", f" moves {way}, nothing else"),
        ("there is one object, ", f" moving {way}"),
        ("", f" moves {way} alone"),
        (f"moving {way} is only ", ""),
    )[template]
    writer.say(before)
    writer.name(0, size=True, pattern=True, motion=True)
    writer.say(after)
    return writer.done(template, total=1)


def _tell(writer: Writer, order: list[int], **said: bool) -> None:
    """`a red circle moves right, ... and a blue square stays still`."""
    for place, index in enumerate(order):
        writer.join(place, len(order))
        writer.name(index, motion=True, **said)
        writer.say(f" {_does(writer.scene.things[index].motion)}")


def _list(scene: Scene, dice: Dice) -> Caption:
    writer = Writer(scene)
    _tell(writer, dice.shuffled(range(len(scene.things))), size=True, pattern=True)
    return writer.done(0)


def _places(scene: Scene, dice: Dice) -> Caption:
    writer, n = Writer(scene), len(scene.things)
    by_rows = any(MOTIONS[thing.motion] in _WAYS["rows"] for thing in scene.things)
    for place, index in enumerate(dice.shuffled(range(n))):
        thing = scene.things[index]
        lane = (
            f"in the {('top', 'bottom')[thing.row]} row"
            if by_rows
            else f"on the {('left', 'right')[thing.column]} side"
        )
        writer.join(place, n)
        writer.say(f"{lane} ")
        writer.name(index, size=True, row=by_rows, column=not by_rows, motion=True)
        writer.say(f" {_does(thing.motion)}")
    return writer.done(1)


def _count(scene: Scene, dice: Dice) -> Caption:
    writer, n = Writer(scene), len(scene.things)
    moving = sum(thing.motion > 0 for thing in scene.things)
    writer.say(f"there are {NUMBERS[n]} objects, {'all' if moving == n else NUMBERS[moving]} of them moving: ")
    _tell(writer, dice.shuffled(range(n)), pattern=True)
    return writer.done(2, total=n, moving=moving)


def _still_first(scene: Scene, dice: Dice) -> Caption:
    writer = Writer(scene)
    order = dice.shuffled(range(len(scene.things)))
    _tell(writer, sorted(order, key=lambda index: scene.things[index].motion > 0), size=True)
    return writer.done(3)


def _by_motion(scene: Scene, dice: Dice) -> Caption:
    writer, n = Writer(scene), len(scene.things)
    for place, index in enumerate(dice.shuffled(range(n))):
        motion = scene.things[index].motion
        writer.join(place, n)
        writer.say(f"moving {MOTIONS[motion]} is " if motion else "standing still is ")
        writer.name(index, size=True, motion=True)
    return writer.done(4)


_MANY = (_list, _places, _count, _still_first, _by_motion)
