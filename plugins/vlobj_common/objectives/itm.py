"""Image-text matching."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives import (
    Batch,
    Fused,
    Input,
    InputName,
    Objective,
    ObjectiveConfig,
    PairingName,
    PartName,
    Spec,
    Spread,
    Term,
    View,
    fused,
    not_none,
)
from vlobjectives.functional import indices_to_mask

POOLED = "pooled vector of the fusion"


class ITM(Objective):
    """Image-text matching: cross-entropy of whether a fused picture and caption belong together.

        L = mean_r CE(W pooled_r + b, y_r),  y_r = 1 where row r is matched, else 0        pooled [R,P], W [2,P]

    half_batch (published): one pass of B pairs, of which floor(B/2) stay matched and the others take a wrong partner.
    matched_plus_wrong: a pass of B matched pairs and one of the pairing's wrong ones, matched pairs counted where a
    wrong one stands against them. A wrong pair for which there was no partner is never counted. GLSCL (arXiv
    2306.07096, its code) after METER. The chance level is the entropy of the labels: ln 2 at halves, 0.637 at one
    matched to two wrong.
    """

    paper = "GLSCL, arXiv 2306.07096; METER, arXiv 2111.02387"

    class Config(ObjectiveConfig):
        negatives: PairingName = Field(description="pairing that finds the wrong partners")
        scheme: Literal["half_batch", "matched_plus_wrong"] = Field(
            "half_batch",
            description="half_batch: half of one pass stays matched (published); matched_plus_wrong: a pass of each",
        )
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        fusion: PartName = Field("fusion", description="part that lets picture and caption see each other")
        init_std: Spread = Field(0.02, gt=0, description="spread of the head's first weights (0.02: width 768)")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image, text = inputs[self.config.image], inputs[self.config.text]
        wrong, part = self.config.negatives, self.config.fusion
        if self.config.scheme == "half_batch":
            return {"pairs": fused(image, text, wrong, keep=0.5, part=part)}
        return {"pairs": fused(image, text, wrong, part=part), "matched": fused(image, text, part=part)}

    def build(self, pairs: Spec) -> None:
        if not pairs.pooled:
            raise self.cannot("the fusion gives no pooled vector to judge a pair by", "use a fusion that pools")
        self.head = nn.Linear(pairs.pooled, 2)
        nn.init.normal_(self.head.weight, std=self.config.init_std)
        nn.init.zeros_(self.head.bias)

    def forward(self, pairs: Fused, batch: Batch, matched: Fused | None = None) -> Mapping[str, Term]:
        label, scored = self._labels(pairs, batch)
        pooled = not_none(pairs.pooled, POOLED)
        logits = self.head(pooled if matched is None else torch.cat([not_none(matched.pooled, POOLED), pooled]))
        total = F.cross_entropy(logits, label.long().masked_fill(~scored, -100), reduction="sum")
        hits, count = ((logits.argmax(-1) == label) & scored).sum(), scored.sum()
        share = (label & scored).sum() / count.clamp_min(1)
        chance = torch.special.entr(share) + torch.special.entr(1 - share)
        return {
            "match": Term(total, count, chance=chance),
            "accuracy": Term(hits, count, weight=0, chance=torch.maximum(share, 1 - share)),
        }

    def counts(self, batch: Batch, pairs: Fused | None = None) -> Mapping[str, Tensor | int]:
        if pairs is None:  # a pairing that looks at views chooses after their passes
            return {}
        _, scored = self._labels(pairs, batch)
        return {"match": scored.sum(), "accuracy": scored.sum()}

    def log_odds(self, pairs: Fused) -> Tensor:
        wrong, matched = self.head(pairs.pooled).unbind(-1)
        return matched - wrong

    def _labels(self, pairs: Fused, batch: Batch) -> tuple[Tensor, Tensor]:
        """Which rows are matched and which are counted: two [R] bool (or [B+R], the matched rows first)."""
        wrong = not_none(pairs.pairs, "wrong pairs in the view")
        if self.config.scheme == "half_batch":
            matched = not_none(wrong.matched, "matched half in the view")
            return matched, matched | wrong.valid
        opposed = indices_to_mask(wrong.anchor[None], batch.size, wrong.valid[None])[0]
        return torch.cat([torch.ones_like(opposed), torch.zeros_like(wrong.valid)]), torch.cat([opposed, wrong.valid])
