"""Semantic completion learning, the conference version of MGSC."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field
from torch import Tensor

from vlobj_glscl.completion_losses import Axis, cosine_rows, l2_normalize_over, l2_rows
from vlobj_glscl.mgsc import MGSC
from vlobjectives import Term


class SCL(MGSC):
    """Semantic completion learning: the passes and targets of MGSC with a contrastive, L2 or cosine loss.

        a = u(prediction), b = u(sg(target))         class tokens [B,F,D] of the picture, [B,1,D] of the text
        contrastive   SymNCE(a b', tau)              (used for the published results)
        l2            mean_b |a_b - b_b|^2           = mean_b 2 - 2 a_b.b_b
        cosine        mean_b -log(1/2 a_b.b_b + 1/2)

    each for the picture and for the text, of a clip the mean over frames. SCL (arXiv 2211.13437), as in its code, where
    `l2` and `cosine` are lines switched off. Those two have no chance level: features that are all alike make them 0.
    """

    paper = "SCL, arXiv 2211.13437"

    class Config(MGSC.Config):
        loss: Literal["contrastive", "l2", "cosine"] = Field("contrastive", description="how a completion is judged")

    def complete(self, prediction: Tensor, target: Tensor, axis: Axis, gather: Callable[[Tensor], Tensor]) -> Term:
        if self.config.loss == "contrastive":
            return super().complete(prediction, target, axis, gather)
        a, b = l2_normalize_over(prediction, axis), l2_normalize_over(target.detach(), axis)
        rows = (l2_rows if self.config.loss == "l2" else cosine_rows)(a, b).mean(1)
        return Term(rows.sum(), len(rows))
