"""`scenes` as a source of a recipe: pictures (or clips) with captions, from nothing but a seed."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Self

import numpy as np
from pydantic import Field, model_validator

from vlobj_data import tiny
from vlobj_data.scenes import motion, paint, shown
from vlobj_data.scenes.dice import stream
from vlobj_data.scenes.draws import CaptionDraw, Draw
from vlobj_data.scenes.oracle import Ceiling, Reads, oracle_r_at_1
from vlobj_data.scenes.questions import ANSWERS
from vlobj_data.scenes.sets import caption_of, collisions, fixed_template, scene_of, start_scene, start_word
from vlobj_data.scenes.shown import RAW, Form, Shown, all_captions, columns, further_captions
from vlobj_data.scenes.twins import twin_scenes, where
from vlobj_data.scenes.words import TEMPLATES, Caption, cut
from vlobj_data.scenes.world import COLOURS, MOTIONS, PATTERNS, SHAPES, SIZES, SPLITS, NoScene, Scene, SceneWorld
from vlobj_data.views import Views, tiny_views, view_columns
from vlobjectives import (
    Amount,
    ContrastPair,
    FieldSpec,
    Flaw,
    Frames,
    Sample,
    Samples,
    Seed,
    Share,
    Side,
    Source,
    SourceConfig,
)
from vlobjectives.errors import DataError, Problem

# Of 3,000 training pictures of 64 pixels, over all channels alike; rounded.
MEAN, STD = (0.42, 0.42, 0.42), (0.18, 0.18, 0.18)
CACHE_BYTES = 256 * 2**20
WORDS = {"colour": COLOURS, "shape": SHAPES, "size": SIZES, "pattern": PATTERNS, "motion": MOTIONS, "answer": ANSWERS}
LATER = ("views", "captions", "columns")
"""Options that were added: at their default the digest of the data is what it was without them."""
_CAPTION, _CUT = stream("caption"), stream("cut caption")

Odds = Annotated[tuple[Amount, Amount, Amount, Amount], Field(description="odds of 1, 2, 3 and 4 things in a picture")]


class Scenes(Source):
    """Synthetic scenes of coloured shapes on varied backgrounds, with five captions each.

    The package `vlobj_data.scenes` says what a scene may hold.

    Columns, P phrases of the caption shown, in its order:

        image      uint8 [3,H,W]; with `frames: F` instead `clip`, uint8 [F,3,H,W]
        caption    the caption shown: in training one of five by (seed, number, epoch), elsewhere a fixed one
        captions   all five
        tags       ["red circle", ...], one a thing
        regions    float32 [3 a thing, 198], what a detector would give of a picture; see `regions`
        phrases    [Phrase(text, first, end, thing), ...], characters `first` to `end` - 1 of the caption
        boxes      float32 [P,4], x1, y1, x2, y2 in pixels, the last two one past; clips: [P,F,4]
        masks      bool [P,H,W], the pixels of each phrase's thing; clips: [P,F,H,W]
        questions  [Question(text, answer, kind), ...], all of the scene
        question, answer   one of them, chosen as the caption is
        caption_2, ...     with `captions: {draw: K}`: other captions of the five, none twice
        wrong_caption      the caption shown with one thing exchanged so that it is false of the picture; see `wrong`
        second, ...        with `views`: further views of the picture, [3,S,S] or [F,3,S,S], a column each

    With `columns` it shows those alone: `[image]` is pictures without texts, `[caption]` texts without pictures.

    Scenes depend on the config's own `seed` and not on the run's, so that runs of several seeds share their test set;
    the run's seed chooses among captions, questions and views. In val, test and test_new what is shown of a scene never
    changes (its views are drawn once, as in training, by the world's seed), and no caption fits a second picture of its
    split (see `sets`); test_new holds the combinations of shape and colour that training never shows.
    """

    together = 2  # a scene and its twin are each other's hard negatives

    class Config(SourceConfig):
        seed: Seed = Field(0, description="of the world; another seed gives other scenes in every split")
        image_size: Annotated[Side, Field(ge=32, le=512)] = Field(64, description="height and width in pixels")
        samples: Samples = Field(16000, description="pictures of the training split")
        val: int = Field(1024, ge=0, le=4096, description="pictures of split val")
        test: int = Field(1024, ge=0, le=4096, description="pictures of split test")
        test_new: int = Field(1024, ge=0, le=4096, description="pictures of split test_new, all with a new combination")
        counts: Odds = SceneWorld.counts
        evaluation_counts: Odds = SceneWorld.evaluation_counts
        twins: float = Field(
            SceneWorld.twins,
            ge=0,
            le=0.5,
            description="share of training numbers followed by their contrast pair: of pictures the one with "
            "two colours exchanged, of clips the one that runs the other way",
        )
        frames: Frames | None = Field(None, ge=2, le=64, description="frames of a clip; left out: still pictures")
        start_epochs: int = Field(
            0, ge=0, le=10**6, description="first epochs, in which training shows single things only"
        )
        start_words: Share = Field(
            0.8, description="share of captions cut to one word in those epochs: the shape, of clips the motion"
        )
        start_twins: Share = Field(
            SceneWorld.start_twins, description="share of neighbours (2k, 2k+1) that differ in that word alone"
        )
        captions: CaptionDraw = Field(CaptionDraw(), description="which captions a sample shows")
        views: Views = Field({}, description="further views of each picture or clip, by the name of their column")
        columns: Shown | None = Field(None, description="what it shows: [image], [caption], ...; null: every column")

        def tiny(self, pixels: int) -> "Scenes.Config":
            small = tiny.scenes(pixels, moving=self.frames is not None)
            small |= {"columns": self.columns} if self.columns else {}
            return Scenes.Config(**small, captions=self.captions, views=tiny_views(self.views, self.image_size, pixels))

        @model_validator(mode="after")
        def _views(self) -> Self:
            taken = {"image", "clip", "regions", *RAW, *further_captions(TEMPLATES)}
            if any(view.flip for view in view_columns(self.views, taken).values()):
                raise ValueError("views cannot flip: captions of scenes say left and right, and would turn false")
            shown.refuse_unknown(self.columns, shown.offered(self.frames, self.captions.draw, view_columns(self.views)))
            return self

        @model_validator(mode="after")
        def _odds(self) -> Self:
            for name in ("counts", "evaluation_counts"):
                odds = getattr(self, name)
                if min(odds) < 0 or sum(odds) <= 0:
                    raise ValueError(f"{name} must be four odds of 0 or more, one of them above 0")
            return self

    can = frozenset({"twins", "regions", "oracle", "words"})

    def __init__(self, config: Config):
        super().__init__(config)
        self.world = SceneWorld(
            config.seed,
            config.counts,
            config.evaluation_counts,
            config.twins,
            config.start_twins,
            moving=config.frames is not None,
        )
        still = (3, config.image_size, config.image_size)
        shape = still if config.frames is None else (config.frames, *still)
        self.picture = "image" if config.frames is None else "clip"
        picture, viewed = FieldSpec("picture", shape, mean=MEAN, std=STD), view_columns(config.views)
        names = config.columns or shown.offered(config.frames, config.captions.draw, viewed)
        self.columns = shown.specs(picture, names, viewed)
        self.form = Form(self.world, self.picture, config.image_size, config.frames, viewed, tuple(self.columns))
        if config.frames is not None:
            self.can = self.can - {"twins"} | {"frames"}
        self.can = frozenset(word for word in self.can if shown.NEEDED[word] <= self.columns.keys())
        self.settled_epoch = config.start_epochs
        self._cache: dict[tuple[str, int], np.ndarray] = {}
        self._room = CACHE_BYTES // int(np.prod(shape))

    def splits(self) -> tuple[str, ...]:
        return SPLITS

    def size(self, split: str) -> int:
        sizes = {
            "train": self.config.samples,
            "val": self.config.val,
            "test": self.config.test,
            "test_new": self.config.test_new,
        }
        return sizes.get(split, 0)

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample:
        """See the class. In the first `start_epochs` epochs of training the scenes are other, single-object ones.

        A caption cut to one word, a picture's shape or a clip's motion, fits every sample of that word; such samples
        share a (negative) `same`, so that they are no negatives of each other.
        """
        if not 0 <= number < self.size(split):
            raise IndexError(f"split {split} has no sample {number}; it has {self.size(split)}")
        starting = split == "train" and epoch < self.config.start_epochs
        scene = start_scene(self.world, number) if starting else self._scene(split, number)
        if split == "train":
            draw = Draw(seed, epoch, number)
            template = draw.dice(_CAPTION).below(TEMPLATES)
        else:
            draw = Draw(self.world.seed, split, number)
            template = fixed_template(self.world, split, number)
        captions = self._captions(scene, template, draw)
        if not starting:
            picture = partial(self._painted, split, number, scene)
            return self._sample(scene, captions, picture, number, f"{split}/{number}", draw)
        same = number
        if draw.dice(_CUT).chance(self.config.start_words):
            word, kind = start_word(self.world, scene)
            captions, same = [cut(caption, word) for caption in captions], -1 - kind
        return self._sample(scene, captions, partial(self._paint, scene), same, f"train/start/{number}", draw)

    def twins(self, split: str, kind: str, count: int) -> list[ContrastPair]:
        """Pairs of pictures that differ in a `colour`, a `shape`, or in two colours exchanged (`swap`).

        Neither caption is true of the other picture. Left and right carry all columns; their `same` are 2k, 2k + 1.
        """
        if "twins" not in self.can:
            raise DataError("twins are pictures, and this source makes clips", "leave out `frames`")
        found = []
        for k in range(count):
            try:
                pair = twin_scenes(self.world, split, kind, k)
            except NoScene as fault:
                raise DataError(str(fault), "raise the odds of several things in data.evaluation_counts") from None
            draw = Draw(self.world.seed, split, k)
            left, right = (
                self._sample(
                    scene,
                    self._captions(scene, caption.template, draw),
                    partial(self._paint, scene),
                    2 * k + side,
                    f"{split}/{kind}/{k}/{side}",
                    draw,
                )
                for side, (scene, caption) in enumerate(zip(pair.scenes, pair.captions, strict=True))
            )
            found.append(ContrastPair(left, right, where(pair, self.config.image_size), pair.spans))
        return found

    def oracle(self, split: str, numbers: Sequence[int], gallery: int | None = None, reads: Reads = "all") -> Ceiling:
        """R@1 (0..1, both directions) of a reader of the descriptions on these samples; see `oracle`."""
        return oracle_r_at_1(self.world, split, numbers, gallery, reads)

    def words(self, kind: str) -> tuple[str, ...]:
        """The words that name a colour, shape, size, pattern or motion, or all that answer a question (`answer`)."""
        if kind not in WORDS:
            raise DataError(f"scenes has no words of kind '{kind}'", f"one of {', '.join(WORDS)}")
        return WORDS[kind]

    def problems(self, thorough: bool = False) -> list[str]:
        """Draws every evaluation split; thorough: proves by trying all that no caption fits a second picture."""
        found = []
        for split in SPLITS:
            try:
                for number in range(min(self.size(split), 100) if split == "train" else self.size(split)):
                    scene_of(self.world, split, number)
            except NoScene as fault:
                found.append(str(fault))
                continue
            if thorough and split != "train":
                found += [
                    f"split {split}: caption {template} of scene {number} fits scene {other} too"
                    for number, template, other in collisions(self.world, split, self.size(split))
                ]
        return [Flaw(Problem(None, "", what, "")) for what in found]

    def digest(self) -> str:
        """sha256 over the options and the first eight training samples: it changes with the generator's code too."""
        plain = {name for name in LATER if getattr(self.config, name) == type(self.config).model_fields[name].default}
        found = hashlib.sha256(self.config.model_dump_json(exclude=plain).encode())
        for number in range(min(8, self.size("train"))):
            scene = self._scene("train", number)
            found.update(self._paint(scene).tobytes())
            found.update("\n".join(all_captions(self.world, scene)).encode())
        return found.hexdigest()

    def _scene(self, split: str, number: int) -> Scene:
        try:
            return scene_of(self.world, split, number)
        except NoScene as fault:
            raise DataError(str(fault), f"lower data.{split}, or change data.counts or evaluation_counts") from None

    def _paint(self, scene: Scene) -> np.ndarray:
        if self.config.frames is None:
            return paint.paint(scene, self.config.image_size)
        return motion.paint_clip(scene, self.config.frames, self.config.image_size)

    def _painted(self, split: str, number: int, scene: Scene) -> np.ndarray:
        """The picture, painted once as long as there is room to keep it. A copy: nobody can spoil a later epoch."""
        kept = self._cache.get((split, number))
        if kept is None:
            kept = self._paint(scene)
            if len(self._cache) < self._room:
                self._cache[split, number] = kept
        return kept.copy()

    def _captions(self, scene: Scene, first: int, draw: Draw) -> list[Caption]:
        """The captions of a scene that are shown, the first by the template `first`."""
        templates = draw.templates(first, self.config.captions.draw)
        return [caption_of(self.world, scene, template) for template in templates]

    def _sample(
        self,
        scene: Scene,
        captions: Sequence[Caption],
        picture: Callable[[], np.ndarray],
        same: int,
        key: str,
        draw: Draw,
    ) -> Sample:
        return Sample(columns(self.form, scene, captions, picture, draw), same, key)
