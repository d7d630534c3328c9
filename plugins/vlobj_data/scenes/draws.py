"""What of a scene is shown is drawn: which captions, which question, how a view is cut."""

from typing import NamedTuple

from pydantic import Field

from vlobj_data.scenes.dice import Dice, stream
from vlobj_data.scenes.words import TEMPLATES
from vlobj_data.scenes.world import SPLITS
from vlobjectives import Config

_FURTHER = stream("further captions")


class CaptionDraw(Config):
    """Which of a scene's captions a sample shows."""

    draw: int = Field(
        1, ge=1, le=TEMPLATES, description="so many different ones: the columns caption, caption_2, ... caption_K"
    )


class Draw(NamedTuple):
    """What the choices of a sample hang on: in training the run's seed, elsewhere the world's.

    when  the epoch of training, elsewhere the split: what is shown of a held-out scene never changes
    """

    seed: int
    when: int | str
    number: int

    @property
    def split(self) -> str:
        return self.when if isinstance(self.when, str) else "train"

    def dice(self, purpose: int) -> Dice:
        """The dice for one purpose (a `stream`)."""
        if isinstance(self.when, str):
            return Dice(self.seed, purpose, SPLITS.index(self.when), self.number)
        return Dice(self.seed, purpose, self.number, self.when)

    def templates(self, first: int, count: int) -> list[int]:
        """So many different templates of captions, of which the first is given."""
        others = [template for template in range(TEMPLATES) if template != first]
        return [first, *self.dice(_FURTHER).shuffled(others)[: count - 1]]
