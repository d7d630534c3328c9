"""A scene as it is shown: the columns of a sample, each made only when it is asked for."""

from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from vlobj_data.lazy import Columns
from vlobj_data.scenes import motion, paint
from vlobj_data.scenes.dice import stream
from vlobj_data.scenes.draws import Draw
from vlobj_data.scenes.questions import Question, questions
from vlobj_data.scenes.regions import MOST, WIDTH, regions
from vlobj_data.scenes.sets import caption_of
from vlobj_data.scenes.words import TEMPLATES, Caption, Phrase
from vlobj_data.scenes.world import Scene, SceneWorld, tags
from vlobj_data.scenes.wrong import wrong_caption
from vlobj_data.views import ViewConfig, show, view_specs
from vlobjectives import FieldSpec

OF_CAPTION = ("caption", "captions", "wrong_caption", "phrases", "boxes", "masks")
RAW = ("caption", "captions", "tags", "phrases", "boxes", "masks", "questions", "question", "answer", "wrong_caption")
NEEDED = {
    "twins": {"image", "caption"},
    "regions": {"phrases", "boxes", "masks"},
    "oracle": {"caption"},
    "words": {"caption"},
    "frames": {"clip"},
}
"""What the source can -> the columns that it shows for it."""
Shown = Annotated[tuple[str, ...], Field(min_length=1)]
"""The option `columns`."""
_QUESTION, _WRONG = stream("question"), stream("wrong caption")


def further_captions(count: int) -> list[str]:
    """Columns of the captions behind the first: caption_2, caption_3, ..."""
    return [f"caption_{place}" for place in range(2, count + 1)]


def offered(frames: int | None, captions: int, views: Mapping[str, ViewConfig]) -> tuple[str, ...]:
    """Every column of a source of pictures, or of clips, with so many captions and these views."""
    picture, regions = ("image", ["regions"]) if frames is None else ("clip", [])
    return (picture, *RAW, *further_captions(captions), *views, *regions)


def refuse_unknown(shown: Sequence[str] | None, known: Sequence[str]) -> None:
    """Raises ValueError where a column is named that there is not."""
    for name in shown or ():
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            raise ValueError(f"there is no column '{name}': {hint}")


def specs(picture: FieldSpec, shown: Collection[str], views: Mapping[str, ViewConfig]) -> dict[str, FieldSpec]:
    """The FieldSpec of each column that is shown, beside the picture's own."""
    known = {"image": picture, "clip": picture, "regions": FieldSpec("vectors", (MOST, WIDTH))}
    known |= view_specs(views, picture)
    further = further_captions(TEMPLATES)
    return {
        name: known.get(name) or FieldSpec("raw", of_caption=name in OF_CAPTION or name in further) for name in shown
    }


class Form(NamedTuple):
    """What a source shows of its scenes: pictures of so many pixels a side, or clips, views of them by column, and the
    columns that are shown."""

    world: SceneWorld
    picture: str
    image_size: int
    frames: int | None
    views: Mapping[str, ViewConfig]
    shown: Sequence[str]


def columns(
    form: Form, scene: Scene, captions: Sequence[Caption], picture: Callable[[], np.ndarray], draw: Draw
) -> Columns:
    """The columns of a scene under the captions that are shown, the first of which phrases and boxes are of."""
    caption, *others = captions
    world, image_size, frames = form.world, form.image_size, form.frames

    def one() -> Question:
        return draw.dice(_QUESTION).pick(questions(scene))

    def view(column: str) -> np.ndarray:
        import torch  # takes longer to import than all else here

        whole = torch.from_numpy(made[form.picture])
        return show(whole, form.views[column], column, *draw).numpy()

    made = Columns(
        {
            form.picture: picture,
            **({"regions": lambda: regions(scene, made["image"])} if frames is None else {}),
            **{column: partial(view, column) for column in form.views},
            **{name: partial(str, other.text) for name, other in zip(further_captions(len(captions)), others)},
            "caption": lambda: caption.text,
            "captions": lambda: all_captions(world, scene),
            "tags": lambda: tags(scene),
            "phrases": lambda: list(caption.phrases),
            "boxes": lambda: boxes(scene, caption.phrases, image_size, frames),
            "masks": lambda: masks(scene, caption.phrases, image_size, frames),
            "questions": lambda: questions(scene),
            "question": lambda: one().text,
            "answer": lambda: one().answer,
            "wrong_caption": lambda: wrong_caption(world, scene, caption, draw.split, draw.dice(_WRONG)),
        }
    )
    return Columns({name: partial(made.__getitem__, name) for name in form.shown})


def all_captions(world: SceneWorld, scene: Scene) -> list[str]:
    """The five captions of a scene."""
    return [caption_of(world, scene, template).text for template in range(TEMPLATES)]


def boxes(scene: Scene, phrases: Sequence[Phrase], image_size: int, frames: int | None) -> np.ndarray:
    """Boxes of the phrases' things in pixels, float32 [P,4], of clips [P,F,4]: x1, y1, x2, y2 (one past)."""
    found = [
        [paint.box(scene.things[phrase.thing], spots[phrase.thing]) for spots in _spots(scene, image_size, frames)]
        for phrase in phrases
    ]
    return _still(np.array(found, dtype=np.float32), frames)


def masks(scene: Scene, phrases: Sequence[Phrase], image_size: int, frames: int | None) -> np.ndarray:
    """Pixels of the phrases' things, bool [P,H,W], of clips [P,F,H,W]."""
    found = [
        [
            paint.mask(scene.things[phrase.thing], spots[phrase.thing], image_size)
            for spots in _spots(scene, image_size, frames)
        ]
        for phrase in phrases
    ]
    return _still(np.array(found), frames)


def _spots(scene: Scene, image_size: int, frames: int | None) -> list[list[paint.PaintedSpot]]:
    if frames is None:
        return [paint.layout(scene, image_size)]
    return [motion.spots_at(scene, frame, frames, image_size) for frame in range(frames)]


def _still(found: np.ndarray, frames: int | None) -> np.ndarray:
    return found[:, 0] if frames is None else found
