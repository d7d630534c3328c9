"""How well captions that a decoder writes agree with those that people (or the world of `scenes`) wrote."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.evaluations.caption_scores import Cider, bleu, bleu_counts, bootstrap
from vlobjectives import (
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    GeneratesText,
    Input,
    InputName,
    Kept,
    Needs,
    ObjectiveName,
    Samples,
    Score,
    UnusableSample,
    View,
    encoded,
)

TURNS = 4
"""How often captions are handed to other pictures for the chance level."""


class Captioning(Evaluation):
    """BLEU-4 and CIDEr-D of generated captions, beside the scores of captions that belong to other pictures.

    Scores are `bleu4` and `cider` (CIDEr-D, on the usual scale of 0 to 10).

    A picture that stands for several samples is described once; its references are all of its captions. The chance
    level is what the same captions score when each is handed to another picture (the mean of four ways): words that are
    always right are worth as much there. BLEU-4 is not smoothed and is of the whole set, CIDEr-D the mean over
    pictures; 95 % intervals by bootstrap over pictures. In writing without blanks between words (Chinese, Japanese,
    Thai, ...) every letter counts as a word.

    Needs an objective that trains a decoder of texts (`GeneratesText`).
    """

    paper = "BLEU, ACL 2002; CIDEr, arXiv 1411.5726"
    needs = frozenset({"caption"})

    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, Needs(GeneratesText)] = Field("ic", description="objective whose decoder writes")
        beams: Kept = Field(1, description="beginnings that are kept while searching; 1 is greedy")
        count: Samples | None = Field(256, description="pictures that are described; null: all of the split")
        image: InputName = Field("image", description="input that shows the picture")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"image": encoded(inputs[self.config.image])}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        written = described(held, self.config)
        if len(written) < 2:
            return {}
        texts, references = [one.text for one in written], [one.references for one in written]
        cider, n, seed = Cider(references), len(texts), held.seed
        turns = sorted({1 + turn * (n - 1) // TURNS for turn in range(TURNS)})
        own, *others = (_counted(texts[by:] + texts[:by], references, cider) for by in (0, *turns))
        blind = [
            sum(float(bleu(counts.sum(0))) for counts, _ in others) / len(others),
            sum(float(scores.mean()) for _, scores in others) / len(others),
        ]
        return {
            "bleu4": Score(float(bleu(own[0].sum(0))), blind[0], *bootstrap(own[0], bleu, seed), n),
            "cider": Score(
                float(own[1].mean()),
                blind[1],
                *bootstrap(own[1][:, None] / n, lambda total: total[:, 0], seed),
                n,
                per_cent=False,
            ),
        }


def _counted(texts: list[str], references: list[list[str]], cider: Cider) -> tuple[Tensor, Tensor]:
    """What BLEU counts in each text, [n,10], and the CIDEr-D of each, [n]."""
    counts = [bleu_counts(text, row) for text, row in zip(texts, references)]
    scores = [cider(text, picture) for picture, text in enumerate(texts)]
    return torch.tensor(counts, dtype=torch.float64), torch.tensor(scores, dtype=torch.float64)


@dataclass
class ReferenceCaptions:
    """A picture's sample number, what was written about it, and its references."""

    number: int
    text: str
    references: list[str]


def described(held: EvaluationContext, config: Captioning.Config) -> list[ReferenceCaptions]:
    """The first `count` pictures of a split with a caption each."""
    column = "captions" if "captions" in held.source.columns else "caption"
    found: dict[int, ReferenceCaptions] = {}
    most = config.count or held.size()
    for batch in held.batches():
        fresh = {}
        for row, (number, same) in enumerate(zip(batch.number.tolist(), batch.same.tolist())):
            value = held.source.value(held.split, number, column, 0, held.seed)
            references = [] if isinstance(value, UnusableSample) else [value] if isinstance(value, str) else list(value)
            if same in found:
                found[same].references += references
            elif len(found) < most and references:
                found[same] = ReferenceCaptions(number, "", references)
                fresh[same] = row
        if fresh:
            rows = torch.tensor(list(fresh.values()), device=batch.number.device)
            for same, text in zip(fresh, held.written(config.of, batch.rows(rows), config.beams)):
                found[same].text = text
    return list(found.values())
