"""Does matching know which attribute belongs to which thing: pairs of scenes that differ in one exchange."""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.evaluations._pair_odds import MatchingConfig, log_odds, preferred
from vlobjectives import ContrastPair, Evaluation, EvaluationContext, Input, Samples, Score, View, accuracy, encoded

TWINS = 64
"""Twins encoded at once."""


class Binding(Evaluation):
    """Accuracy of the matching score on contrast pairs: two scenes that differ in one thing, each with its caption.

        KIND/caption   for each picture, its own caption to the other's: right where odds(own) > odds(other's)
        KIND/picture   for each caption, its own picture to the other's

    A pair gives two decisions a score, a tie is half of one; chance level 50 %. Kind `swap` exchanges two attributes:
    the two captions have the same words, and they differ only in what is bound to what. Wilson's interval is over
    pairs, as if the two decisions of a pair were one.

    Needs an objective that judges pairs (`JudgesPairs`).
    """

    needs = frozenset({"twins"})

    class Config(MatchingConfig):
        kinds: tuple[str, ...] = Field(
            ("swap",), min_length=1, description="kinds of contrast pairs: swap, colour, shape"
        )
        count: Samples = Field(256, description="contrast pairs a kind")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"image": encoded(inputs[self.config.image]), "text": encoded(inputs[self.config.text])}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        scores = {}
        for kind in self.config.kinds:
            twins = held.source.twins(held.split, kind, self.config.count)
            odds = torch.cat([self._odds(held, twins[k : k + TWINS], k) for k in range(0, len(twins), TWINS)])
            own = odds.diagonal(dim1=1, dim2=2)
            scores[f"{kind}/caption"] = accuracy(preferred(own, odds.flip(2).diagonal(dim1=1, dim2=2)), 0.5)
            scores[f"{kind}/picture"] = accuracy(preferred(own, odds.flip(1).diagonal(dim1=1, dim2=2)), 0.5)
        return scores

    def _odds(self, held: EvaluationContext, twins: list[ContrastPair], first: int) -> Tensor:
        """Log odds [twins, 2 pictures, 2 captions] that picture and caption match."""
        samples = [side for twin in twins for side in (twin.left, twin.right)]
        numbers = [k for k in range(first, first + len(twins)) for _ in range(2)]
        values = held.values(self.views(held.inputs), held.batch(samples, numbers))
        pair = torch.arange(len(twins), device=values["text"].tokens.device)[:, None] * 2
        image, text = pair + pair.new_tensor([0, 0, 1, 1]), pair + pair.new_tensor([0, 1, 0, 1])
        odds = log_odds(held, self.config, values["image"], values["text"], image.flatten(), text.flatten())
        return odds.reshape(-1, 2, 2)
