"""The world: attributes, splits, which combinations training never shows, and drawing a scene's description.

A scene holds one to four things in the cells of a 2 x 2 grid. No two things of a scene agree in shape and colour,
so "red circle" always names one thing. Six (shape, colour) pairs are new: they never occur in train, val and test,
and every scene of test_new holds one.
"""

from dataclasses import dataclass
from typing import NamedTuple

from vlobj_data.scenes.dice import Dice

SHAPES = ("circle", "square", "triangle", "cross", "ring", "bar")
COLOURS = ("red", "green", "blue", "yellow", "cyan", "purple", "pink", "white")
SIZES = ("small", "large")
PATTERNS = ("plain", "striped", "dotted")
PLACES = ("top left", "top right", "bottom left", "bottom right")
MOTIONS = ("still", "left", "right", "up", "down")
SPLITS = ("train", "val", "test", "test_new")

_NEW_NAMES = (
    ("circle", "green"),
    ("square", "purple"),
    ("triangle", "red"),
    ("cross", "yellow"),
    ("ring", "blue"),
    ("bar", "pink"),
)
NEW_PAIRS = tuple((SHAPES.index(shape), COLOURS.index(colour)) for shape, colour in _NEW_NAMES)
SEEN_PAIRS = tuple(
    (shape, colour)
    for shape in range(len(SHAPES))
    for colour in range(len(COLOURS))
    if (shape, colour) not in NEW_PAIRS
)
_NEW = frozenset(NEW_PAIRS)


class NoScene(ValueError):
    """The options leave no scene of the kind that is asked for, or no further one."""


class Thing(NamedTuple):
    """An object: indices into SHAPES, COLOURS, SIZES, PATTERNS, PLACES (of clips: at the first frame) and MOTIONS."""

    shape: int
    colour: int
    size: int
    pattern: int
    cell: int
    motion: int = 0

    @property
    def pair(self) -> tuple[int, int]:
        return self.shape, self.colour

    @property
    def row(self) -> int:
        """0 above, 1 below."""
        return self.cell >> 1

    @property
    def column(self) -> int:
        """0 left, 1 right."""
        return self.cell & 1


class Scene(NamedTuple):
    """Things in order of their cells, and `look`: 64 bits that fix background, noise, exact places and word order.

    `look` says nothing of attributes, so that two scenes of one look differ in the attributes alone.
    """

    things: tuple[Thing, ...]
    look: int


@dataclass(frozen=True)
class SceneWorld:
    """What the scenes are a function of, beside split and number.

    counts             odds of 1, 2, 3, 4 things in training (of clips the layout of lanes decides instead)
    evaluation_counts  the same in val, test and test_new
    twins              share of training numbers that are followed by their twin (see sets), at most 0.5
    start_twins        share of neighbours (2k, 2k+1) that are twins among single-object scenes (see sets)
    moving             scenes of clips
    """

    seed: int = 0
    counts: tuple[float, float, float, float] = (0.30, 0.30, 0.25, 0.15)
    evaluation_counts: tuple[float, float, float, float] = (0.12, 0.30, 0.33, 0.25)
    twins: float = 0.05
    start_twins: float = 0.5
    moving: bool = False

    def odds(self, split: str) -> tuple[float, float, float, float]:
        """Odds of the number of things in a split."""
        return self.counts if split == "train" else self.evaluation_counts


def draw_scene(world: SceneWorld, split: str, dice: Dice, things: int | None = None) -> Scene:
    """A still scene by these dice, of so many things or of a number that is drawn too."""
    if things is None:
        things = 1 + dice.weighted(world.odds(split))
    cells = sorted(dice.shuffled(range(4))[:things])
    return Scene(draw_things(split, dice, cells), dice.word())


def draw_things(split: str, dice: Dice, cells: list[int]) -> tuple[Thing, ...]:
    """Things for these cells, distinct in (shape, colour); of test_new one has a new pair, the others seen ones."""
    fresh = dice.below(len(cells)) if split == "test_new" else None
    things: list[Thing] = []
    taken = set()
    for place, cell in enumerate(cells):
        pool = NEW_PAIRS if place == fresh else SEEN_PAIRS
        pair = dice.pick(pool)
        while pair in taken:
            pair = dice.pick(pool)
        taken.add(pair)
        things.append(Thing(*pair, dice.below(len(SIZES)), dice.below(len(PATTERNS)), cell))
    return tuple(things)


def legal(scene: Scene, split: str) -> bool:
    """Whether a changed scene still keeps the rules of its split."""
    pairs = {thing.pair for thing in scene.things}
    if len(pairs) < len(scene.things):
        return False
    return bool(pairs & _NEW) == (split == "test_new")


def recoloured(scene: Scene, index: int, colour: int) -> Scene:
    """The scene with another colour for one thing."""
    return _changed(scene, {index: scene.things[index]._replace(colour=colour)})


def reshaped(scene: Scene, index: int, shape: int) -> Scene:
    """The scene with another shape for one thing."""
    return _changed(scene, {index: scene.things[index]._replace(shape=shape)})


def swapped(scene: Scene, one: int, other: int) -> Scene:
    """The scene with the colours of two things exchanged."""
    a, b = scene.things[one], scene.things[other]
    return _changed(scene, {one: a._replace(colour=b.colour), other: b._replace(colour=a.colour)})


def _changed(scene: Scene, new: dict[int, Thing]) -> Scene:
    return Scene(tuple(new.get(index, thing) for index, thing in enumerate(scene.things)), scene.look)


def tags(scene: Scene) -> list[str]:
    """Object tags as a detector would give them: attribute and kind, `red circle`, in order of the cells."""
    return [f"{COLOURS[thing.colour]} {SHAPES[thing.shape]}" for thing in scene.things]
