"""Retrieval in two stages: the joint space proposes, the matching objective decides."""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.evaluations._galleries import Gallery, galleries, ways, within
from vlobj_common.evaluations._pair_odds import MatchingConfig, log_odds
from vlobjectives import (
    Evaluation,
    EvaluationContext,
    Input,
    Length,
    PartName,
    Samples,
    Score,
    View,
    accuracy,
    encoded,
    joint,
)


class Rerank(Evaluation):
    """R@1 in both directions after the `top` nearest in the joint space are re-ranked by the log odds of matching.

    Galleries, right answers and ties as in `retrieval`. A query without a right answer among its nearest is a miss,
    whose pairs are not fused; a pair that both directions ask for is fused once. The chance level is that of a random
    pick from the gallery. ALBEF (arXiv 2107.07651) ranks so at retrieval.

    Needs an objective that judges pairs (`JudgesPairs`).
    """

    paper = "ALBEF, arXiv 2107.07651"

    class Config(MatchingConfig):
        top: Length = Field(8, description="nearest answers of the joint space that are put in order")
        gallery: Samples | None = Field(256, ge=2, description="samples that compete; null: the whole split")
        joint: PartName = Field("joint", description="projection to the joint space")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image, text = inputs[self.config.image], inputs[self.config.text]
        return {
            "image": encoded(image),
            "text": encoded(text),
            "near_image": joint(image, part=self.config.joint),
            "near_text": joint(text, part=self.config.joint),
        }

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        hits: dict[str, list[Tensor]] = {"image_to_text": [], "text_to_image": []}
        luck: dict[str, list[Tensor]] = {"image_to_text": [], "text_to_image": []}
        called = dict(zip(hits, ways(self.config.image, self.config.text)))
        for gallery in galleries(held, self.views(held.inputs), self.config.gallery):
            right = gallery.same[:, None] == gallery.same
            near = self._near(gallery)
            odds = self._odds(held, gallery, right, near)
            for way, answers in near.items():
                scores = (odds.T if way == "image_to_text" else odds).gather(1, answers)
                among = right.gather(1, answers)
                found = within(scores, among, (1,))[1]
                hits[way].append(torch.where(among.any(1), found, 0.0))
                luck[way].append(within(torch.zeros_like(odds), right, (1,))[1])
        return {
            f"{called[way]}/r1": accuracy(torch.cat(rows), torch.cat(luck[way]).mean().item())
            for way, rows in hits.items()
            if rows
        }

    def _near(self, gallery: Gallery) -> dict[str, Tensor]:
        """For each query its nearest answers, [n,top]."""
        similar = gallery.values["near_text"].pooled @ gallery.values["near_image"].pooled.T
        top = min(self.config.top, len(similar))
        return {"image_to_text": similar.T.topk(top, 1).indices, "text_to_image": similar.topk(top, 1).indices}

    def _odds(self, held: EvaluationContext, gallery: Gallery, right: Tensor, near: dict[str, Tensor]) -> Tensor:
        """Log odds [captions, pictures], -inf where nobody asks."""
        asked = torch.zeros_like(right)
        for way, answers in near.items():
            worth = right.gather(1, answers).any(1, keepdim=True)
            wanted = torch.zeros_like(right).scatter(1, answers, worth.expand_as(answers))
            asked |= wanted.T if way == "image_to_text" else wanted
        text, image = asked.nonzero(as_tuple=True)
        odds = torch.full(right.shape, float("-inf"), device=right.device)
        odds[text, image] = log_odds(
            held, self.config, gallery.values["image"], gallery.values["text"], image, text
        ).to(odds.dtype)
        return odds
