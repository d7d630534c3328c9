"""Self-distillation from crops of a picture to the whole."""

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from vlobjectives import (
    Input,
    InputName,
    Objective,
    ObjectiveConfig,
    Share,
    Spec,
    StepSum,
    Temperature,
    Term,
    View,
    Width,
    encoded,
)
from vlobjectives.functional import l2_normalize


class SILC(Objective):
    """Local-to-global self-distillation: of a crop the student says what the averaged teacher says of the picture.

        p = softmax((h'(y) - c) / tau_t)     y [N,D] the class token of a global view by averaged weights, h' the head's
        q = softmax(h(x) / tau_s)            x [N,D] the class token of a local crop
        L = mean over rows, global views and crops of  -sum_k p_k log q_k
        c <- m c + (1 - m) mean over rows and global views of h'(y)        once a step

    h(x) = W u(MLP(x)), rows of W [K,256] of unit length. SILC (arXiv 2310.13355), section 3.2, adds DINO's loss (arXiv
    2104.14294, sections 3.1 and A; temperatures, centre and head are DINO's) to contrast, here `itc` on the picture
    that the teacher sees: a global view without a text would pull away from it. The average is `run.ema.decay`'s. There
    is no chance level: features that are all alike agree as well, and only the centre keeps the teacher from them.
    """

    paper = "SILC, arXiv 2310.13355; DINO, arXiv 2104.14294"
    averaged = frozenset({"head"})
    centre: Tensor

    class Config(ObjectiveConfig):
        teacher: list[InputName] = Field(
            ["image"], min_length=1, description="inputs that show the picture, or most of it"
        )
        student: list[InputName] = Field(min_length=1, description="inputs that show crops of it")
        width: Width = Field(65536, description="K, the width of what is compared (DINO: 65536)")
        hidden: Width = Field(2048, description="hidden width of the head (DINO: 2048)")
        teacher_temperature: Temperature = Field(0.04, description="tau_t (DINO: 0.04)")
        student_temperature: Temperature = Field(0.1, description="tau_s (DINO: 0.1)")
        momentum: Share = Field(0.9, description="m, what stays of the centre at a step (DINO: 0.9)")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        students = {f"crop_{k}": encoded(inputs[name]) for k, name in enumerate(self.config.student)}
        return students | {f"whole_{k}": encoded(inputs[name]).ema() for k, name in enumerate(self.config.teacher)}

    def build(self, crop_0: Spec) -> None:
        self.head = Head(crop_0.width, self.config.hidden, self.config.width)
        self.register_buffer("centre", torch.zeros(self.config.width))

    def forward(self, averaged: Mapping[str, nn.Module], **given: Any) -> Mapping[str, Term | StepSum]:
        said = torch.stack([averaged["head"](x.cls.mean(1)) for key, x in given.items() if key.startswith("whole")])
        q = torch.stack([self.head(x.cls.mean(1)) for key, x in given.items() if key.startswith("crop")])
        p = ((said - self.centre) / self.config.teacher_temperature).softmax(-1).mean(0)
        loss = -(p * (q / self.config.student_temperature).log_softmax(-1).mean(0)).sum()
        centre = StepSum(said.sum((0, 1)), said.shape[0] * said.shape[1])
        return {"crops": Term(loss, len(p)), "centre": centre}

    def after_step(self, centre: Tensor) -> None:
        self.centre.lerp_(centre, 1 - self.config.momentum)


class Head(nn.Module):
    """DINO's: an MLP to 256 numbers, their direction, and its cosines with K learned directions."""

    def __init__(self, width: int, hidden: int, out: int):
        super().__init__()
        layers = [nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 256)]
        self.layers, self.directions = nn.Sequential(*layers), nn.Parameter(torch.randn(out, 256))

    def forward(self, x: Tensor) -> Tensor:
        return l2_normalize(self.layers(x)) @ l2_normalize(self.directions).T
