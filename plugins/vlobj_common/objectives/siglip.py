"""Sigmoid contrast of pictures and captions."""

import math
from collections.abc import Callable, Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives import Batch, Input, InputName, Joint, Objective, ObjectiveConfig, PartName, Term, View, joint


class SigLIP(Objective):
    """Sigmoid contrast: every picture with every caption of the batch is a yes-or-no question of its own.

        L = -1/N sum_i sum_j log sigmoid( z_ij (t u_i . v_j + b) )     z_ij = 1 where i and j are one sample, else -1

    u, v [N,E] are pictures and captions in the joint space, t is the projection's learned scale and b a learned bias
    (SigLIP, arXiv 2303.15343, section 3.2 and algorithm 1; the paper starts at t = 10, learned as its logarithm: of the
    projection `form: log_scale, temperature: 0.1`). No row needs the others' scores, so a process compares its own
    pictures with the captions of all (section 3.3): a block [N/W, N] of the matrix, of which ITC needs all on each.
    A sample is known by its number, so that one that stands twice in a batch is right with itself. The chance
    level is that of answers "yes" at the rate of right pairs, N ln N - (N-1) ln(N-1) a picture; the first steps lie
    above it, since a bias of -10 is surer of "no" than that.
    """

    paper = "SigLIP, arXiv 2303.15343"

    class Config(ObjectiveConfig):
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection to the joint space; the scale t is its own")
        bias: float = Field(-10.0, ge=-1e3, le=1e3, description="where b starts; most pairs are wrong (published: -10)")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        image, text = inputs[self.config.image], inputs[self.config.text]
        return {"image": joint(image, part=self.config.joint), "text": joint(text, part=self.config.joint)}

    def build(self) -> None:
        self.bias = nn.Parameter(torch.tensor(self.config.bias))

    def forward(
        self, image: Joint, text: Joint, batch: Batch, gather: Callable[[Tensor], Tensor]
    ) -> Mapping[str, Term]:
        captions, numbers = gather(text.pooled), gather(batch.number)
        logits = image.scale * image.pooled @ captions.T + self.bias
        losses = -F.logsigmoid(torch.where(batch.number[:, None] == numbers, logits, -logits))
        return {"pairs": Term(losses.sum(), len(image.pooled), chance=chance_level(len(captions)))}


def chance_level(n: int) -> float:
    """The loss of a picture among n captions where each pair is said to be right with probability 1/n."""
    return n * math.log(n) - (n - 1) * math.log(n - 1) if n > 1 else 0.0
