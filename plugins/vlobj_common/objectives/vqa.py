"""Visual question answering as a choice among known answers."""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives import (
    Batch,
    FieldName,
    FieldSpec,
    Fused,
    Input,
    InputName,
    Labels,
    Objective,
    ObjectiveConfig,
    PartName,
    Spec,
    Spread,
    Term,
    View,
    fused,
)

NORM_EPS = 1e-5


class VQA(Objective):
    """Visual question answering: binary cross-entropy over a table of answers, from a fused picture and question.

        z_b = W2 gelu(LN(W1 x_b + b1)) + b2          x_b pooled [B,P] of fused(image, question), W1 [P,P], W2 [V,P]
        L = mean_b sum_v BCE(sigmoid z_bv, y_bv)     y_bv the score of answer v, 0 where it is none: [B,V] in 0..1

    As published, the mean over all B V entries times V. A row whose answer the table does not have is a row of zeros
    and counts. `accuracy` is the score of the most likely answer (VQA 2.0's accuracy); its chance level is the most
    frequent answer's. GLSCL (arXiv 2306.07096, its code) after METER. The chance level is the entropies of the
    answers' mean scores, added up, where the reader counted them.
    """

    paper = "GLSCL, arXiv 2306.07096; METER, arXiv 2111.02387"

    class Config(ObjectiveConfig):
        answer: FieldName = Field("answer", description="field of labels: the answers and their scores")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the question")
        fusion: PartName = Field("fusion", description="part that lets picture and question see each other")
        init_std: Spread = Field(0.02, gt=0, description="spread of the classifier's first weights (0.02: width 768)")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"asked": fused(inputs[self.config.image], inputs[self.config.text], part=self.config.fusion)}

    def build(self, asked: Spec, answer: FieldSpec) -> None:
        if not asked.pooled:
            raise self.cannot("the fusion gives no pooled vector to answer from", "use a fusion that pools")
        if answer.kind != "labels":
            raise self.cannot(
                f"'{self.config.answer}' is a field of {answer.kind}, and answers are labels",
                "add under fields: answer: {type: answers, size: 3129}",
            )
        width = asked.pooled
        inner, last = nn.Linear(width, width), nn.Linear(width, answer.vocabulary)
        self.head = nn.Sequential(inner, nn.LayerNorm(width, eps=NORM_EPS), nn.GELU(), last)
        for layer in (inner, last):
            nn.init.normal_(layer.weight, std=self.config.init_std)
            nn.init.zeros_(layer.bias)
        share = torch.tensor(answer.share, dtype=torch.float64, device="cpu").clamp(0, 1)  # a plan builds on meta
        entropies = torch.special.entr(share) + torch.special.entr(1 - share)
        self.entropy = float(entropies.sum()) if answer.share else None
        self.most = max(answer.share, default=None)

    def forward(self, asked: Fused, batch: Batch) -> Mapping[str, Term]:
        logits = self.head(asked.pooled)
        right = targets(batch[self.config.answer], logits)
        total = F.binary_cross_entropy_with_logits(logits, right, reduction="sum")
        hits = right.gather(1, logits.argmax(-1, keepdim=True)).sum()
        return {
            "answer": Term(total, len(logits), chance=self.entropy),
            "accuracy": Term(hits, len(logits), weight=0, chance=self.most),
        }

    def answer_field(self) -> str:
        return self.config.answer

    def answer_scores(self, pairs: Fused) -> Tensor:
        return self.head(pairs.pooled)


def targets(labels: Labels, like: Tensor) -> Tensor:
    """Scores of all V answers, [B,V] of Labels [B,M]; of one that stands twice the higher."""
    value = torch.where(labels.valid, labels.value, 0.0).to(like.dtype)
    return torch.zeros_like(like).scatter_reduce(1, labels.ids, value, "amax")
