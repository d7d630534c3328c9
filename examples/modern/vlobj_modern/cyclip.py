"""Geometric consistency of pictures and captions."""

from collections.abc import Callable, Mapping

from pydantic import Field
from torch import Tensor

from vlobjectives import Amount, Input, InputName, Joint, Objective, ObjectiveConfig, PartName, Term, View, joint


class CyCLIP(Objective):
    """Cyclic consistency: what two samples are to each other is the same across and within pictures and captions.

        L_cross = 1/N sum_ij (u_i . v_j - u_j . v_i)^2        picture i and caption j, as picture j and caption i
        L_inner = 1/N sum_ij (u_i . u_j - v_i . v_j)^2        two pictures, as their two captions

    u, v [N,E] unit vectors of pictures and captions in the joint space. CyCLIP (arXiv 2205.14459), section 2, adds both
    to CLIP's loss, here the objective `itc`, with 0.25 each. Products and not logits, so that no temperature is
    learned from them. Features that are all alike make both 0: there is no chance level.
    """

    paper = "CyCLIP, arXiv 2205.14459"

    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection to the joint space")
        cross: Amount = Field(0.25, description="weight of L_cross (published: 0.25)")
        inner: Amount = Field(0.25, description="weight of L_inner (published: 0.25)")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        both = {"image": inputs[self.config.image], "text": inputs[self.config.text]}
        return {name: joint(x, part=self.config.joint) for name, x in both.items()}

    def forward(self, image: Joint, text: Joint, gather: Callable[[Tensor], Tensor]) -> Mapping[str, Term]:
        u, v, n = gather(image.pooled), gather(text.pooled), len(image.pooled)
        cross = image.pooled @ v.T - text.pooled @ u.T
        inner = image.pooled @ u.T - text.pooled @ v.T
        return {
            "cross": Term(cross.square().sum(), n, self.config.cross),
            "inner": Term(inner.square().sum(), n, self.config.inner),
        }
