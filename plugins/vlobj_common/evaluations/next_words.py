"""The next word named with the picture at hand: all words, and the words of a kind by themselves."""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.evaluations._words_of_kind import ROWS, one_word, pattern, unigram
from vlobjectives import (
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    GeneratesText,
    Needs,
    Noise,
    ObjectiveName,
    Score,
    accuracy,
    decoded,
)


class Naming(Evaluation):
    """Accuracy of a captioning objective on the next word piece, given the true pieces before it.

        all               every piece and the end
        colours, shapes   the pieces of one word of that kind a caption, drawn among the caption's

    The decoder sees all of the picture, whatever mask the objective trains under. The chance level is the unigram
    guess: the piece that was most frequent in training among those at the scored places, and how often it is right
    here.

    Needs an objective that trains a decoder of texts (`GeneratesText`).
    """

    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, Needs(GeneratesText)] = Field("ic", description="objective that writes captions")
        kinds: tuple[str, ...] = Field(("colour", "shape"), description="kinds of words scored by themselves")

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        objective = held.objective(self.config.of)
        how = objective.writes(held.inputs)
        if how is None:
            raise self.cannot(f"the objective '{self.config.of}' trains no decoder of texts")
        view, head, text = decoded(how.text, how.memory, part=how.decoder), held.part(how.head), how.text
        spec = next(iter(held.spec(text.name).fields.values()))
        kinds = {
            f"{kind}s": pattern(held.source.words(kind)) for kind in self.config.kinds if "words" in held.source.can
        }
        found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in ("all", *kinds)}
        for first in range(0, held.size(), ROWS):
            numbers = range(first, min(first + ROWS, held.size()))
            samples = [held.sample(number) for number in numbers]
            batch = held.batch(samples, numbers)
            tokens = batch[text.name]
            written = held.values({"written": view}, batch)["written"]
            guess = head(written.tokens[:, :-1]).argmax(-1) + how.first
            noise = Noise(held.seed, "evaluation naming", held.split, batch.number)
            for name in found:
                place = (
                    tokens.valid
                    if name == "all"
                    else one_word(held, text.name, tokens, samples, noise, name, kinds[name])
                )
                found[name].append((guess[place[:, 1:]], tokens.ids[:, 1:][place[:, 1:]]))
        scores = {}
        for name, rows in found.items():
            guess, truth = (torch.cat(side) for side in zip(*rows)) if rows else (torch.empty(0),) * 2
            if truth.numel():
                scores[name] = accuracy(guess == truth, unigram(truth, spec.share))
        return scores
