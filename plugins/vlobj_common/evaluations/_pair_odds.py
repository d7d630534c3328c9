"""What a matching objective says about pairs of a picture and a caption, for all evaluations that ask one."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Encoded,
    EvaluationConfig,
    EvaluationContext,
    InputName,
    JudgesPairs,
    Needs,
    ObjectiveName,
    PartName,
    RequestedOutputs,
)

PAIRS = 128
"""Pairs fused at once; more do not run faster on a CPU."""


class MatchingConfig(EvaluationConfig):
    """What evaluations that ask a matching objective have in common."""

    of: Annotated[ObjectiveName, Needs(JudgesPairs)] = Field("itm", description="objective that judges pairs")
    image: InputName = Field("image", description="input that shows the picture")
    text: InputName = Field("text", description="input that holds the caption")
    fusion: PartName = Field("fusion", description="fusion that the objective reads")


def log_odds(
    held: EvaluationContext, config: MatchingConfig, image: Encoded, text: Encoded, i: Tensor, t: Tensor
) -> Tensor:
    """[R] log odds that picture i[r] and caption t[r] match; i, t [R] int64, rows of the encoded sides.

    The fusion alone runs for each pair: the encoders ran once.
    """
    fusion, objective = held.part(config.fusion), held.objective(config.of)
    found = []
    for a, b in zip(i.split(PAIRS), t.split(PAIRS)):
        found.append(objective.log_odds(fusion(image.rows(a), text.rows(b), RequestedOutputs())))
    return torch.cat(found)


def preferred(own: Tensor, other: Tensor) -> Tensor:
    """[twins] share of a twin's two decisions that prefer `own` to `other`, both [twins,2]; a tie is half of one."""
    return ((own > other).double() + 0.5 * (own == other)).mean(1)
