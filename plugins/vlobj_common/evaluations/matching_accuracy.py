"""How often the matching objective is right about a pair."""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field

from vlobj_common.evaluations._galleries import galleries
from vlobj_common.evaluations._pair_odds import MatchingConfig, log_odds
from vlobjectives import (
    Evaluation,
    EvaluationContext,
    Input,
    Noise,
    Score,
    View,
    accuracy,
    encoded,
)
from vlobjectives.functional import mine_negatives, positive_pairs

GROUP = 256
"""Consecutive samples among which the wrong picture is drawn: fixed, so that it does not hang on the batch."""


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

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"image": encoded(inputs[self.config.image]), "text": encoded(inputs[self.config.text])}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
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
