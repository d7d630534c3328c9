"""Masked words named with the picture at hand: all kinds, and the words of a kind by themselves."""

from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from vlobj_common.evaluations._words_of_kind import ROWS, one_word, pattern, unigram
from vlobjectives import (
    Batch,
    Encoded,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    Input,
    InputName,
    MaskName,
    MaskSample,
    Needs,
    Noise,
    ObjectiveName,
    PartName,
    PredictsTokens,
    RequestedOutputs,
    Score,
    Tokens,
    View,
    accuracy,
    encoded,
    fused,
)
from vlobjectives.functional import gather_tokens, indices_to_mask, mask_to_indices


class Words(Evaluation):
    """Accuracy of masked language modelling: the most likely piece of the whole vocabulary is the masked one.

        all               `ratio` of each caption's pieces hidden, 1 at least, drawn without replacement
        colours, shapes   one word of that kind a caption hidden, drawn among the caption's; all else is seen

    Hidden is always behind the mask token. The chance level is the unigram guess: the piece that was most frequent in
    training among those that stand at the scored places (the field's `share`; without it, most frequent among them),
    and how often it is right here. Kinds are scored where the source has `words`; the caption is the column `caption`,
    and the text input begins with it.

    Needs an objective that names hidden tokens (`PredictsTokens`).
    """

    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, Needs(PredictsTokens)] = Field("mlm", description="objective that names words")
        mask: MaskName | None = Field(
            None,
            description="mask of the text under whose name words are hidden, in place "
            "of what it draws; null: the objective's own",
        )
        ratio: float = Field(0.15, gt=0, le=1, description="share of a caption's pieces hidden for `all`")
        kinds: tuple[str, ...] = Field(("colour", "shape"), description="kinds of words hidden by themselves")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        fusion: PartName = Field("fusion", description="fusion that the objective reads")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        text = inputs[self.config.text].masked(self.config.mask)
        return {"pairs": fused(inputs[self.config.image], text, part=self.config.fusion)}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        objective = held.objective(self.config.of)
        mask = self.config.mask or objective.token_mask()
        if mask is None:
            raise self.cannot(
                f"objective '{self.config.of}' names no mask of its own",
                "name one of the text's masks: evaluate.words.mask=NAME",
            )
        text = held.inputs[self.config.text]
        spec = next(iter(held.spec(text.name).fields.values()))
        kinds = {
            f"{kind}s": pattern(held.source.words(kind)) for kind in self.config.kinds if "words" in held.source.can
        }
        found: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in ("all", *kinds)}
        for first in range(0, held.size(), ROWS):
            numbers = range(first, min(first + ROWS, held.size()))
            samples = [held.sample(number) for number in numbers]
            batch = held.batch(samples, numbers)
            tokens = batch[self.config.text]
            image = held.values({"image": encoded(held.inputs[self.config.image])}, batch)["image"]
            noise = Noise(held.seed, "evaluation words", held.split, batch.number)
            for name in found:
                hidden = (
                    some(tokens, noise, self.config.ratio)
                    if name == "all"
                    else one_word(held, self.config.text, tokens, samples, noise, name, kinds[name])
                )
                draw = hide(tokens, hidden, spec.special["mask"])
                guess = self._named(held, objective, image, batch, mask, draw)
                found[name].append((guess[draw.index_ok], gather_tokens(tokens.ids, draw.index)[draw.index_ok]))
        scores = {}
        for name, rows in found.items():
            guess, truth = (torch.cat(side) for side in zip(*rows)) if rows else (torch.empty(0),) * 2
            if truth.numel():
                scores[name] = accuracy(guess == truth, unigram(truth, spec.share))
        return scores

    def _named(
        self,
        held: EvaluationContext,
        objective: PredictsTokens,
        image: Encoded,
        batch: Batch,
        mask: str,
        draw: MaskSample,
    ) -> Tensor:
        """[B,K] the id that the objective finds most likely at each hidden position."""
        text = held.values({"text": encoded(held.inputs[self.config.text].masked(mask))}, batch, {mask: draw})["text"]
        pairs = held.part(self.config.fusion)(image, text, RequestedOutputs())
        return objective.predict_tokens(pairs, draw.index, held.part)


def some(tokens: Tokens, noise: Noise, ratio: float) -> Tensor:
    """[B,L] bool, `ratio` of each row's pieces of the first field, 1 at least."""
    word, order = ~tokens.special & (tokens.segment == 0), noise.order("all", tokens.ids.shape[1])
    count = (word.sum(1) * ratio).round().clamp_min(1)
    in_order = gather_tokens(word, order)
    return indices_to_mask(order, word.shape[1], in_order & (in_order.cumsum(1) <= count[:, None]))


def hide(tokens: Tokens, hidden: Tensor, mask: int) -> MaskSample:
    """The draw that puts the mask token in place of the hidden positions [B,L] and scores just these."""
    index, ok = mask_to_indices(hidden, max(1, int(hidden.sum(1).max())))
    return MaskSample(hidden, hidden, index, ok, ids=tokens.ids.masked_fill(hidden, mask), fill="mask")
