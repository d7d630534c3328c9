"""Masked local token completion."""

from collections.abc import Callable, Mapping

from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Amount,
    Encoded,
    FeatureRecovery,
    Fused,
    FusedView,
    Input,
    InputName,
    MaskName,
    MaskSample,
    Objective,
    ObjectiveConfig,
    PartName,
    Temperature,
    Term,
    fused,
    not_none,
)
from vlobjectives.functional import gather_tokens, l2_normalize, symmetric_info_nce


class MLTC(Objective):
    """Masked local token completion: recover the features of masked patches (words), given the other modality.

        pass A: picture under context_mask, clean text     ->  X^A        X text tokens [B,L,D]
        pass B: picture under image_mask, clean text       ->  Y^B        Y patch tokens [B,n,D]
        pass C: clean picture, masked text                 ->  X^C, Y^C

        L_img = SymNCE( u(Y^B[R_v]) . u(sg(Y^C[R_v]))', tau )      R_v: all masked patches of the batch
        L_txt = SymNCE( u(X^C[R_t]) . u(sg(X^A[R_t]))', tau )      R_t: all masked words of the batch
        L = 0.2 L_img + 0.2 L_txt,  tau = 0.03

    The tokens are the fusion's last, with no head on them. A token competes with every other masked one, of its own
    sample and of all others. Published targets: patches from the pass whose *text* is masked, words from the pass whose
    picture is dropped. R_v and R_t are the scored positions, [B,K] with surplus ones switched off; none at all is a 0.
    The 0.2 are the terms' weights, so a log shows plain SymNCE. GLSCL (arXiv 2306.07096), formulas as in its code.
    The chance level is 2 ln |R| for each half. Memory is |R| x |R|, which `group` bounds.
    """

    paper = "GLSCL, arXiv 2306.07096"

    class Config(ObjectiveConfig):
        image_mask: MaskName = Field(description="hides patches in pass B (published: replaces 30 % by a token)")
        text_mask: MaskName = Field(description="hides words in pass C (published: 40 %, drawn with replacement)")
        context_mask: MaskName = Field(description="hides patches in pass A, the text's target (published: drops 80 %)")
        temperature: Temperature = Field(0.03, description="tau, fixed (published: 0.03)")
        weight_image: Amount = Field(0.2, description="weight of the picture's half (published: 0.2)")
        weight_text: Amount = Field(0.2, description="weight of the text's half (published: 0.2)")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        fusion: PartName = Field("fusion", description="part that lets picture and caption see each other")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, FusedView]:
        image, text, part = inputs[self.config.image], inputs[self.config.text], self.config.fusion
        return {
            "a": fused(image.masked(self.config.context_mask), text, part=part),
            "b": fused(image.masked(self.config.image_mask), text, part=part),
            "c": fused(image, text.masked(self.config.text_mask), part=part),
        }

    def token_recoveries(self, inputs: Mapping[str, Input]) -> list[FeatureRecovery]:
        a, b, c = self.views(inputs).values()
        return [FeatureRecovery(b, c, "image"), FeatureRecovery(c, a, "text")]

    def forward(self, a: Fused, b: Fused, c: Fused, gather: Callable[[Tensor], Tensor]) -> Mapping[str, Term]:
        if _drawn(b.image).keep is not None:
            raise self.cannot("image_mask drops the very patches that pass B must complete", "give it fill: token")
        return {
            "image": self.complete(b.image, c.image, self.config.weight_image, gather),
            "text": self.complete(c.text, a.text, self.config.weight_text, gather),
        }

    def complete(self, prediction: Encoded, target: Encoded, weight: float, gather: Callable[[Tensor], Tensor]) -> Term:
        """Both sides at the positions [B,K] that the prediction's mask hid."""
        draw = _drawn(prediction)
        index, ok = draw.index, gather(draw.index_ok).flatten()
        p = gather(l2_normalize(gather_tokens(prediction.tokens, index))).flatten(0, 1)
        t = gather(l2_normalize(gather_tokens(target.tokens, index).detach())).flatten(0, 1)
        rows = symmetric_info_nce(p, t, self.config.temperature, valid=ok)
        return Term(rows.sum(), ok.sum(), weight=weight, chance=2 * ok.sum().clamp_min(1).log())

    def counts(
        self, gather: Callable[[Tensor], Tensor], b: Fused | None = None, c: Fused | None = None
    ) -> Mapping[str, Tensor | int]:
        # A mask that looks at views draws after their passes, and its pass is not known yet.
        predictions = {"image": None if b is None else b.image, "text": None if c is None else c.text}
        return {name: gather(_drawn(x).index_ok).sum() for name, x in predictions.items() if x is not None}


def _drawn(x: Encoded) -> MaskSample:
    return not_none(x.draw, "mask whose tokens are completed")
