"""Does the joint space know what happens in a clip, or only what is in it: frames out of order."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.evaluations._galleries import first_of, joined, within
from vlobj_common.evaluations._pair_odds import preferred
from vlobjectives import (
    Batch,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    Input,
    InputName,
    Noise,
    PartName,
    Samples,
    Score,
    View,
    accuracy,
    joint,
)
from vlobjectives.functional.statistics import mean_interval


class Motion(Evaluation):
    """Scores of clips with their frames in order, against the same frames shuffled and reversed.

    The captions say which way things move.

        shuffled   R@1 of clips in order less R@1 of the same clips with their frames shuffled, both directions: 0 for
                   a model that sees frames as a set; the interval over queries, paired
        reversed   clips whose caption is nearer to them than to their frames in reverse; chance level 50 %

    R@1 as in `retrieval`, among galleries of consecutive samples. Each clip's order is drawn by its number. `reversed`
    means something only where a clip played backwards makes its caption false, as in moving `scenes`.
    """

    needs = frozenset({"frames"})

    class Config(EvaluationConfig):
        gallery: Annotated[Samples, Field(ge=2)] = Field(256, description="samples that compete")
        image: InputName = Field("image", description="input that shows the clip")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection to the joint space")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image, text = inputs[self.config.image], inputs[self.config.text]
        return {"image": joint(image, part=self.config.joint), "text": joint(text, part=self.config.joint)}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        views, parts = self.views(held.inputs), []
        for batch in held.batches():
            clips = batch[self.config.image]
            order = Noise(held.seed, "evaluation motion", held.split, batch.number).order("frames", clips.shape[1])
            found = held.values(views, batch)
            image = {"image": views["image"]}
            parts.append(
                {
                    "same": batch.same,
                    "text": found["text"].pooled,
                    "ordered": found["image"].pooled,
                    "shuffled": held.values(image, self._shown(batch, taken(clips, order)))["image"].pooled,
                    "reversed": held.values(image, self._shown(batch, clips.flip(1)))["image"].pooled,
                }
            )
        if not parts:
            return {}
        whole, lost = joined(parts), []
        for rows in torch.arange(len(whole["same"]), device=whole["same"].device).split(self.config.gallery):
            gallery = {name: x[rows] for name, x in whole.items()}
            lost.append(hits(gallery, "ordered") - hits(gallery, "shuffled"))
        own, other = ((whole["text"] * whole[name]).sum(1, keepdim=True) for name in ("ordered", "reversed"))
        value, low, high = mean_interval(torch.cat(lost).tolist())
        return {
            "shuffled": Score(value, 0.0, low, high, sum(map(len, lost))),
            "reversed": accuracy(preferred(own, other), 0.5),
        }

    def _shown(self, batch: Batch, clips: Tensor) -> Batch:
        return replace(batch, values={**batch.values, self.config.image: clips})


def taken(clips: Tensor, order: Tensor) -> Tensor:
    """The frames of clips [B,F,...] in the order [B,F]."""
    return clips[torch.arange(len(clips), device=clips.device)[:, None], order]


def hits(gallery: dict[str, Tensor], shown: str) -> Tensor:
    """Whether a right answer comes first, for each clip of a gallery and then for each caption (ties are fractions)."""
    first = first_of(gallery["same"])
    v, t, of_v, of_t = gallery[shown][first], gallery["text"], gallery["same"][first], gallery["same"]
    right = of_v[:, None] == of_t
    return torch.cat([within(v @ t.T, right, (1,))[1], within(t @ v.T, right.T, (1,))[1]])
