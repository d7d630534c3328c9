"""The scene of a number, and the proof that no caption of an evaluation set fits a second picture.

A training scene is drawn from its number alone. A scene of an evaluation split is drawn again for as long as one of
its five captions fits an earlier scene of the split, or one of an earlier scene's captions fits it. So the set is
unique by construction, whichever of its captions are read, and its first n scenes are the same for every size.
This bends the odds of the number of things a little: there are 1,008 captions of single things (144 in test_new),
and the fuller a split is the more often a single thing is drawn again as something else.
"""

from collections import defaultdict
from functools import cached_property, lru_cache
from itertools import combinations
from threading import Lock

from vlobj_data.scenes.claims import Claims, fits
from vlobj_data.scenes.dice import Dice, stream
from vlobj_data.scenes.motion import draw_moving, motion_caption, turned
from vlobj_data.scenes.words import TEMPLATES, Caption, caption
from vlobj_data.scenes.world import (
    COLOURS,
    MOTIONS,
    SHAPES,
    SPLITS,
    NoScene,
    Scene,
    SceneWorld,
    draw_scene,
    legal,
    reshaped,
    swapped,
)

_SCENE, _TWIN, _START, _FIXED = stream("scene"), stream("twin"), stream("start"), stream("fixed caption")
_ATTEMPTS = 2000


def draw(world: SceneWorld, split: str, dice: Dice, things: int | None = None) -> Scene:
    """A scene of this world, still or moving."""
    return (draw_moving if world.moving else draw_scene)(world, split, dice, things)


def caption_of(world: SceneWorld, scene: Scene, template: int) -> Caption:
    """The caption by a template (0..4) that goes with this world: of a picture, or of a clip."""
    return (motion_caption if world.moving else caption)(scene, template)


def scene_of(world: SceneWorld, split: str, number: int) -> Scene:
    """Scene `number` of a split: a pure function of world, split and number."""
    if number < 0:
        raise IndexError(f"number {number} of split {split} is below 0")
    if split == "train":
        return _training_scene(world, number)
    return evaluation_set(world, split).scene(number)


def fixed_template(world: SceneWorld, split: str, number: int) -> int:
    """The template of the caption that an evaluation reads."""
    return Dice(world.seed, SPLITS.index(split), _FIXED, number).below(TEMPLATES)


def _training_scene(world: SceneWorld, number: int) -> Scene:
    """An odd number may be the twin of the even one before it, which is then one that has a twin.

    The twin of a picture has two colours exchanged; that of a clip runs the other way.
    """
    key = (world.seed, SPLITS.index("train"))
    even = number - number % 2
    if not Dice(*key, _TWIN, even).chance(2 * world.twins):
        return draw(world, "train", Dice(*key, _SCENE, number, 0))
    for attempt in range(_ATTEMPTS):
        scene = draw(world, "train", Dice(*key, _SCENE, even, attempt))
        twins = [turned(scene)] if world.moving else colour_swaps(world, scene, "train")
        if twins:
            return Dice(*key, _TWIN, even, 1).pick(twins) if number % 2 else scene
    raise NoScene("no scene has a colour-swap twin: counts allows single things only; set twins to 0")


def colour_swaps(world: SceneWorld, scene: Scene, split: str) -> list[Scene]:
    """The scenes in which two things exchanged their colours and the list caption of either is false of the other."""
    found = []
    for one, other in combinations(range(len(scene.things)), 2):
        twin = swapped(scene, one, other)
        if twin != scene and legal(twin, split) and told_apart(world, scene, twin, 0):
            found.append(twin)
    return found


def told_apart(world: SceneWorld, a: Scene, b: Scene, template: int) -> bool:
    """Whether the captions by this template are each false of the other scene."""
    return not fits(caption_of(world, a, template).claims, b) and not fits(caption_of(world, b, template).claims, a)


def start_scene(world: SceneWorld, number: int) -> Scene:
    """The single-object training scene of a number; of neighbours (2k, 2k+1) some are twins.

    Twins of the start differ in what `start_word` says: pictures in the shape, clips in the way that the thing runs.
    """
    key = (world.seed, SPLITS.index("train"), _START)
    even = number - number % 2
    twin = number % 2 == 1 and Dice(*key, _TWIN, even).chance(world.start_twins)
    scene = draw(world, "train", Dice(*key, _SCENE, even if twin else number), 1)
    if not twin:
        return scene
    if world.moving:
        return turned(scene)
    shapes = Dice(*key, _TWIN, even, 1).shuffled([s for s in range(len(SHAPES)) if s != scene.things[0].shape])
    return next(other for other in (reshaped(scene, 0, shape) for shape in shapes) if legal(other, "train"))


def start_word(world: SceneWorld, scene: Scene) -> tuple[str, int]:
    """The word to which a caption of the start is cut, and its number: the thing's shape, or which way it runs."""
    thing = scene.things[0]
    return (MOTIONS[thing.motion], thing.motion) if world.moving else (SHAPES[thing.shape], thing.shape)


class Captioned:
    """A scene with what its captions claim, told when it is first asked for: of most scenes nobody ever asks."""

    def __init__(self, world: SceneWorld, scene: Scene):
        self._world, self.scene = world, scene

    @cached_property
    def claims(self) -> list[Claims]:
        return [caption_of(self._world, self.scene, template).claims for template in range(TEMPLATES)]


class EvaluationSet:
    """The scenes of an evaluation split, grown one after the other as they are asked for."""

    def __init__(self, world: SceneWorld, split: str):
        self.world, self.split = world, split
        self._scenes: list[Scene] = []
        self._holding: dict[tuple, list[Scene]] = defaultdict(list)  # by every set of pairs that a scene holds
        self._said: dict[tuple, list[Captioned]] = defaultdict(list)  # by the set of pairs that its captions name
        self._lock = Lock()

    def scene(self, number: int) -> Scene:
        """Scene `number`; scenes before it are drawn first if they were not yet."""
        if number >= len(self._scenes):
            with self._lock:
                while number >= len(self._scenes):
                    self._grow()
        return self._scenes[number]

    def _grow(self) -> None:
        number = len(self._scenes)
        for attempt in range(_ATTEMPTS):
            dice = Dice(self.world.seed, SPLITS.index(self.split), _SCENE, number, attempt)
            scene = draw(self.world, self.split, dice)
            captioned = Captioned(self.world, scene)
            if self._unique(captioned):
                for some in _subsets(scene):
                    self._holding[some].append(scene)
                self._said[_pairs(scene)].append(captioned)
                self._scenes.append(scene)
                return
        raise NoScene(
            f"split {self.split}: after {number} scenes {_ATTEMPTS} draws gave none that its captions tell "
            f"from the others; ask for fewer scenes, or for more scenes of several things"
        )

    def _unique(self, new: Captioned) -> bool:
        """A caption names shape and colour of all things of its scene, so only scenes that hold them can collide."""
        if any(fits(claims, other) for other in self._holding.get(_pairs(new.scene), ()) for claims in new.claims):
            return False
        near = (old for some in _subsets(new.scene) for old in self._said.get(some, ()))
        return not any(fits(claims, new.scene) for old in near for claims in old.claims)


def _pairs(scene: Scene) -> tuple[int, ...]:
    return tuple(sorted(thing.shape * len(COLOURS) + thing.colour for thing in scene.things))


def _subsets(scene: Scene) -> list[tuple[int, ...]]:
    pairs = _pairs(scene)
    return [some for n in range(1, len(pairs) + 1) for some in combinations(pairs, n)]


@lru_cache(maxsize=16)
def evaluation_set(world: SceneWorld, split: str) -> EvaluationSet:
    """The one EvaluationSet of a world and split."""
    return EvaluationSet(world, split)


def collisions(world: SceneWorld, split: str, size: int) -> list[tuple[int, int, int]]:
    """Every (number, template, other number) whose caption fits another scene, by trying all: the proof is []."""
    scenes = [scene_of(world, split, number) for number in range(size)]
    return [
        (number, template, other)
        for number, scene in enumerate(scenes)
        for template in range(TEMPLATES)
        for claims in [caption_of(world, scene, template).claims]
        for other, elsewhere in enumerate(scenes)
        if other != number and fits(claims, elsewhere)
    ]
