"""Which wrong pairs a matching loss sees: random ones, hard ones, all of them."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from vlobjectives import (
    Batch,
    Input,
    InputName,
    Joint,
    Noise,
    Pairing,
    PairingConfig,
    Pairs,
    PartName,
    View,
    joint,
    not_none,
)
from vlobjectives.functional import matched_half, mine_negatives, positive_pairs


class WrongPairs(Pairing):
    """What pairings have in common: which pairs are no wrong ones."""

    class Config(PairingConfig):
        positives: Literal["same_picture", "equal_captions"] = Field(
            "same_picture",
            description="who is no wrong pair of each other: rows of the same picture alone (published), or also rows "
            "whose captions are equal token by token, and those of the same pictures as these",
        )
        text: InputName | None = Field(None, description="input that holds the captions that may be equal (null: text)")

        @model_validator(mode="before")
        @classmethod
        def _captions(cls, given: object) -> object:
            """The text input is asked for only where captions are compared: a recipe may have none of that name."""
            if isinstance(given, dict) and given.get("positives") == "equal_captions" and given.get("text") is None:
                return {**given, "text": "text"}
            return given

    def right(self, batch: Batch) -> Tensor:
        """[g,g] bool, which picture (column) is right for which caption (row)."""
        equal = self.config.positives == "equal_captions"
        return positive_pairs(
            batch.same, batch[not_none(self.config.text, "name of the captions")].ids if equal else None
        )


class RandomNegatives(WrongPairs):
    """Pair each caption with a wrong picture of its group, every wrong one being equally likely.

    One wrong pair a row. GLSCL (arXiv 2306.07096, its code) draws from the whole data set and may draw the true picture
    itself; pictures of the batch are already encoded, and the true one is never drawn here.
    """

    paper = "GLSCL, arXiv 2306.07096"

    def wrong(self, noise: Noise, batch: Batch) -> Pairs:
        return _other_picture(noise.between("partner"), batch, self.right(batch))


class HardNegatives(WrongPairs):
    """Pair captions, pictures or both with wrong partners that are near in the joint space: the nearest, or a sample.

        S = t v' / tau    [g,g], captions by pictures, no gradient
        argmax   the highest score of a wrong pair (MVPTR, arXiv 2201.12596; its retrieval code)
        sampled  one drawn from the softmax of the scores of wrong pairs (ALBEF, arXiv 2107.07651)

    The joint space is the inputs' as the recipe has them: what the contrast reads, so mining costs no pass beside it.
    """

    paper = "ALBEF, arXiv 2107.07651; MVPTR, arXiv 2201.12596"

    class Config(WrongPairs.Config):
        choose: Literal["argmax", "sampled"] = Field("sampled", description="the hardest one, or hard ones more often")
        sides: Literal["picture", "caption", "half", "both"] = Field(
            "picture",
            description="picture: a wrong picture for each caption; caption: a wrong caption for each picture; half: a "
            "wrong picture for floor(g/2) random rows of each g, a wrong caption for the others (MVPTR); both: two "
            "wrong pairs a row (then no row of the pass can stay matched)",
        )
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection whose joint space says what is hard")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image, text = inputs[self.config.image], inputs[self.config.text]
        return {"image": joint(image, part=self.config.joint), "text": joint(text, part=self.config.joint)}

    def rows(self, group: int) -> int:
        return 2 * group if self.config.sides == "both" else group

    def wrong(self, noise: Noise, batch: Batch, image: Joint, text: Joint) -> Pairs:
        scores = text.pooled @ image.pooled.T * image.scale
        right, sides = self.right(batch), []
        if self.config.sides != "caption":
            sides.append(_other_picture(self._chosen("picture", scores, noise), batch, right))
        if self.config.sides != "picture":
            found = _other_picture(self._chosen("caption", scores.T, noise), batch, right.T)
            sides.append(Pairs(image=found.text, text=found.image, anchor=found.anchor, valid=found.valid))
        if self.config.sides == "half":
            return _chosen_from(sides[0], sides[1], matched_half(noise("side")))
        return sides[0] if len(sides) == 1 else _joined(sides[0], sides[1])

    def _chosen(self, name: str, scores: Tensor, noise: Noise) -> Tensor:
        """Scores whose highest of a row is the choice: those of a softmax draw with Gumbel noise on top."""
        if self.config.choose == "argmax":
            return scores
        uniform = noise.between(name).clamp_min(2.0**-25)
        return scores - torch.log(-torch.log(uniform))


class AllPairs(WrongPairs):
    """Pair every caption with every wrong picture of its group: g (g - 1) rows, for small groups."""

    def rows(self, group: int) -> int:
        return group * (group - 1)

    def wrong(self, noise: Noise, batch: Batch) -> Pairs:
        row = torch.arange(batch.size, device=batch.same.device)
        text = row.repeat_interleave(batch.size - 1)
        image = (text + 1 + torch.arange(batch.size - 1, device=row.device).repeat(batch.size)) % batch.size
        return Pairs(image=image, text=text, anchor=text, valid=~self.right(batch)[text, image])


def _other_picture(scores: Tensor, batch: Batch, right: Tensor) -> Pairs:
    """Row r keeps its caption and takes the picture with the highest score [g,g] of those that are not right."""
    image, valid = mine_negatives(scores, batch.same, right=right)
    row = torch.arange(batch.size, device=image.device)
    return Pairs(image=image, text=row, anchor=row, valid=valid)


def _chosen_from(one: Pairs, other: Pairs, first: Tensor) -> Pairs:
    """One's pair where `first` [g] is True, the other's elsewhere."""
    return Pairs(
        *(torch.where(first, getattr(one, name), getattr(other, name)) for name in ("image", "text", "anchor", "valid"))
    )


def _joined(one: Pairs, other: Pairs) -> Pairs:
    """Both sides' pairs, those of one row next to each other, so that a cut between rows is a cut between pairs."""
    image, text, anchor, valid = (
        torch.stack([getattr(one, name), getattr(other, name)], dim=1).flatten()
        for name in ("image", "text", "anchor", "valid")
    )
    return Pairs(image=image, text=text, anchor=anchor, valid=valid)
