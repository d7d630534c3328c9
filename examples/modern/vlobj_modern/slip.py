"""Self-supervision of the picture encoder beside contrast with captions."""

import math
from collections.abc import Callable, Mapping

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives import (
    Encoded,
    Input,
    InputName,
    Objective,
    ObjectiveConfig,
    Spec,
    Temperature,
    Term,
    View,
    Width,
    encoded,
    not_none,
)
from vlobjectives.functional import l2_normalize


class SLIP(Objective):
    """SimCLR's contrast between two views of a picture, by a head of its own.

        z = u(head(x))     x [N,D] the class token of a view, z [2N,P] of the first views, then of the second
        L = mean_i [-log softmax_{j != i}(z_i . z_j / tau) at the other view of i's picture]

    head = Linear, BN, ReLU, Linear, BN, ReLU, Linear. SLIP (arXiv 2112.12750), section 3, adds this to CLIP's loss on a
    view of its own, here the objective `itc` on the picture. The head reads the rows of all processes, so that BN's
    mean and variance, each view's own, are those of the whole batch; they are the batch's in evaluation too. The chance
    level is ln(2N - 1).
    """

    paper = "SLIP, arXiv 2112.12750"

    class Config(ObjectiveConfig):
        one: InputName = Field("view_1", description="input that shows a view of the picture")
        two: InputName = Field("view_2", description="input that shows another view of it")
        hidden: Width = Field(4096, description="hidden width of the head (published: 4096)")
        width: Width = Field(256, description="P, the width of what is compared (published: 256)")
        temperature: Temperature = Field(0.1, description="tau, fixed (published: 0.1)")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"one": encoded(inputs[self.config.one]), "two": encoded(inputs[self.config.two])}

    def build(self, one: Spec) -> None:
        layers: list[nn.Module] = []
        for width in (one.width, self.config.hidden):
            layers += [nn.Linear(width, self.config.hidden, bias=False), BatchNorm(self.config.hidden), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Linear(self.config.hidden, self.config.width))

    def forward(self, one: Encoded, two: Encoded, gather: Callable[[Tensor], Tensor]) -> Mapping[str, Term]:
        classes = [gather(not_none(view.cls, "class token").mean(1)) for view in (one, two)]
        z, n = l2_normalize(torch.cat([self.head(x) for x in classes])), len(classes[0])
        itself = torch.eye(2 * n, dtype=torch.bool, device=z.device)
        logits = (z @ z.T / self.config.temperature).masked_fill(itself, -torch.inf)
        other = torch.arange(2 * n, device=z.device).roll(n)
        return {"views": Term(F.cross_entropy(logits, other, reduction="sum"), 2 * n, chance=math.log(2 * n - 1))}


class BatchNorm(nn.Module):
    """Batch norm by the rows that it is given, one row alone too."""

    def __init__(self, width: int):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, 0, correction=0)
        return (x - mean) * (variance + 1e-5).rsqrt() * self.weight + self.bias
