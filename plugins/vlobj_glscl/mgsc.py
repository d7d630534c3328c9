"""Masked global semantic completion."""

import math
from collections.abc import Callable, Mapping

from pydantic import Field
from torch import Tensor

from vlobj_glscl.completion_losses import Axis, l2_normalize_over
from vlobjectives import (
    Encoded,
    FeatureRecovery,
    Fused,
    FusedView,
    Input,
    InputName,
    MaskName,
    Objective,
    ObjectiveConfig,
    PartName,
    Temperature,
    Term,
    fused,
    not_none,
)
from vlobjectives.functional import symmetric_info_nce


class MGSC(Objective):
    """Masked global semantic completion: recover the class token of a masked picture (caption), given the other one.

        pass A: masked picture, clean text      ->  Y^A, X^A         Y the picture's class tokens [B,F,D]
        pass C: clean picture, masked text      ->  Y^C, X^C         X the text's class token [B,1,D]

        L_img = SymNCE( u(Y^A) . u(sg(Y^C))', tau )      masked picture -> what the clean one means
        L_txt = SymNCE( u(X^C) . u(sg(X^A))', tau )      masked text    -> what the clean one means
        L = L_img + L_txt,  tau = 0.03

    SymNCE over the N rows of all processes, the sum of row and column term; of a clip the mean over its F frames, each
    frame against the same frame of the others. u is unit length, sg stops the gradient: the target is the same network,
    in the pass in which the *other* modality is masked. GLSCL (arXiv 2306.07096), formulas as in its code. The chance
    level is 2 ln N for each half.
    """

    paper = "GLSCL, arXiv 2306.07096"

    class Config(ObjectiveConfig):
        image_mask: MaskName = Field(description="hides patches in pass A (published: drops 80 %)")
        text_mask: MaskName = Field(description="hides words in pass C (published: 40 %, drawn with replacement)")
        temperature: Temperature = Field(0.03, description="tau, fixed (published: 0.03)")
        norm_axis: Axis = Field(
            "feature",
            description="axis over which the picture's class tokens get unit length; frame is what the published code "
            "for clips does, by mistake it seems: with one frame only signs are left and nothing is learned from them",
        )
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        fusion: PartName = Field("fusion", description="part that lets picture and caption see each other")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, FusedView]:
        image, text, part = inputs[self.config.image], inputs[self.config.text], self.config.fusion
        return {
            "a": fused(image.masked(self.config.image_mask), text, part=part),
            "c": fused(image, text.masked(self.config.text_mask), part=part),
        }

    def class_recoveries(self, inputs: Mapping[str, Input]) -> list[FeatureRecovery]:
        a, c = self.views(inputs).values()
        return [FeatureRecovery(a, c, "image"), FeatureRecovery(c, a, "text")]

    def forward(self, a: Fused, c: Fused, gather: Callable[[Tensor], Tensor]) -> Mapping[str, Term]:
        return {
            "image": self.complete(_class(a.image), _class(c.image), self.config.norm_axis, gather),
            "text": self.complete(_class(c.text), _class(a.text), "feature", gather),
        }

    def complete(self, prediction: Tensor, target: Tensor, axis: Axis, gather: Callable[[Tensor], Tensor]) -> Term:
        """prediction, target [B,F,D]: a row is completed where its prediction finds its own target, and vice versa."""
        p = gather(l2_normalize_over(prediction, axis)).transpose(0, 1)
        t = gather(l2_normalize_over(target.detach(), axis)).transpose(0, 1)
        rows = symmetric_info_nce(p, t, self.config.temperature).mean(0)
        return Term(rows.sum(), len(rows), chance=2 * math.log(len(rows)))


def _class(x: Encoded) -> Tensor:
    return not_none(x.cls, "class token to complete")
