"""How often the matching objective is right about a pair, and its log odds, which other evaluations rank by."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.evaluations.retrieval import galleries
from vlobjectives import (
    Encoded,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    InputName,
    JudgesPairs,
    Needs,
    Noise,
    ObjectiveName,
    PartName,
    RequestedOutputs,
    accuracy,
    encoded,
)
from vlobjectives.functional import mine_negatives, positive_pairs

PAIRS = 128
"""Pairs fused at once; more do not run faster on a CPU."""
GROUP = 256
"""Consecutive samples among which the wrong picture is drawn: fixed, so that it does not hang on the batch."""


class MatchingConfig(EvaluationConfig):
    """What evaluations that ask a matching objective have in common."""

    of: Annotated[ObjectiveName, Needs(JudgesPairs)] = Field("itm", description="objective that judges pairs")
    image: InputName = Field("image", description="input that shows the picture")
    text: InputName = Field("text", description="input that holds the caption")
    fusion: PartName = Field("fusion", description="fusion that the objective reads")


class MatchingAccuracy(Evaluation):
    """Accuracy of matching on balanced pairs: each caption with its own picture and with a random other one.

    A pair is right where the sign of its log odds is. `accuracy` counts both, chance level 50 %; Wilson's interval
    takes the two pairs of a caption as independent.

    Needs an objective that judges pairs (`JudgesPairs`).
    """

    class Config(MatchingConfig):
        positives: Literal["same_picture", "equal_captions"] = Field(
            "same_picture", description="who is no wrong pair of each other, as the pairings have it"
        )

    def views(self, inputs):
        return {"image": encoded(inputs[self.config.image]), "text": encoded(inputs[self.config.text])}

    def run(self, held):
        hits = []
        text = self.config.text if self.config.positives == "equal_captions" else None
        for group in galleries(held, self.views(held.inputs), GROUP, text):
            noise = Noise(held.seed, "evaluation itm", held.split, group.number)
            right = positive_pairs(group.same, group.ids)
            other, valid = mine_negatives(noise("other", len(group.number)), group.same, right=right)
            own = torch.arange(len(other), device=other.device)
            odds = log_odds(
                held,
                self.config,
                group.values["image"],
                group.values["text"],
                torch.cat([own, other]),
                torch.cat([own, own]),
            )
            # Without a partner (all of the group show one picture) neither case counts: the pairs stay balanced.
            hits.append(torch.cat([odds[own][valid] > 0, odds[len(own) :][valid] <= 0]))
        return {"accuracy": accuracy(torch.cat(hits), 0.5)} if hits else {}


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
