"""Retrieval in the joint space."""

from collections import defaultdict
from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.evaluations._galleries import first_of, galleries, ways, within
from vlobjectives import (
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    Input,
    InputName,
    PartName,
    Samples,
    Score,
    View,
    accuracy,
    joint,
)

BLOCK = 1024
"""Queries compared with a gallery at once: bounds memory where the gallery is a whole split."""


class Retrieval(Evaluation):
    """R@k in both directions in the joint space: the share of queries with a right answer among the k nearest.

    Galleries are consecutive samples (the last one may be smaller); `image_to_text/rK` and `text_to_image/rK` (called
    after the inputs) are means over all queries of all galleries, with Wilson's interval over queries. A picture with
    several captions stands once; all of its captions are right.
    The chance level is what equal scores for everybody get, K / gallery where each query has one right answer. Where
    the source can, `oracle/...` is what a reader of the descriptions scores in the same galleries: the ceiling.
    """

    class Config(EvaluationConfig):
        gallery: Samples | None = Field(256, ge=2, description="samples that compete; null: the whole split")
        ks: tuple[Samples, ...] = Field((1, 5, 10), description="the K of R@K, beside 1")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection to the joint space")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image, text = inputs[self.config.image], inputs[self.config.text]
        return {"image": joint(image, part=self.config.joint), "text": joint(text, part=self.config.joint)}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        hits: dict[str, list[Tensor]] = defaultdict(list)
        luck: dict[str, list[Tensor]] = defaultdict(list)
        to_text, to_image = ways(self.config.image, self.config.text)
        for gallery in galleries(held, self.views(held.inputs), self.config.gallery):
            pictures, same = gallery.rows(first_of(gallery.same)), gallery.same
            v, t = pictures.values["image"].pooled, gallery.values["text"].pooled
            for way, queries, asked, answers, known in (
                (to_text, v, pictures.same, t, same),
                (to_image, t, same, v, pictures.same),
            ):
                for rows in torch.arange(len(queries), device=queries.device).split(BLOCK):
                    scores, right = queries[rows] @ answers.T, asked[rows, None] == known
                    for found, each in ((hits, scores), (luck, torch.zeros_like(scores))):
                        for k, share_of_k in within(each, right, {1, *self.config.ks}).items():
                            found[f"{way}/r{k}"].append(share_of_k)
            if "oracle" in held.source.can:
                best = held.source.oracle(held.split, gallery.number.tolist())
                for way, ceiling in ((to_text, best.image_to_text), (to_image, best.text_to_image)):
                    hits[f"oracle/{way}/r1"].append(torch.full((len(v),), ceiling, dtype=torch.float64))
        return {
            name: accuracy(torch.cat(rows), torch.cat(luck[name.removeprefix("oracle/")]).mean().item())
            for name, rows in hits.items()
        }
