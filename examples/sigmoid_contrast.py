"""An objective of one's own: SigLIP's pairwise sigmoid loss (arXiv 2303.15343), as a file that a recipe names."""

import math
from collections.abc import Callable, Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from vlobjectives import Input, InputName, Joint, Objective, ObjectiveConfig, Term, View, hookimpl, joint


class SigmoidContrast(Objective):
    """Every picture with every caption of the batch is a yes-or-no question of its own.

        L = - 1/N sum_ij log sigmoid( z_ij (s u_i . v_j + b) ),    z_ij = 1 if i = j else -1

    u, v [N,E] unit vectors of pictures and captions, s the joint space's scale, b a learned bias.
    """

    paper = "SigLIP, arXiv 2303.15343"

    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        bias: float = Field(-3.0, description="where b starts; low, because most pairs are wrong")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"image": joint(inputs[self.config.image]), "text": joint(inputs[self.config.text])}

    def build(self) -> None:
        self.bias = nn.Parameter(torch.tensor(self.config.bias))

    def forward(self, image: Joint, text: Joint, gather: Callable[[Tensor], Tensor]) -> Mapping[str, Term]:
        u, v = gather(image.pooled), gather(text.pooled)
        z = 2 * torch.eye(len(u), device=u.device, dtype=u.dtype) - 1
        losses = -logsigmoid(z * (image.scale * u @ v.T + self.bias))
        return {"pairs": Term(losses.sum(), len(u), chance=_chance_level(len(u)))}


def _chance_level(n: int) -> float:
    """The loss of a row where each pair is said to be right with probability 1/n."""
    return n * math.log(n) - (n - 1) * math.log(n - 1) if n > 1 else 0.0


@hookimpl
def vlobj_components() -> Mapping[str, type]:
    return {"objective:sigmoid_contrast": SigmoidContrast}
