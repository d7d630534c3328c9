"""How often masked concept recovering names the right concept, and whether it looked at the picture."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Batch,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    MaskName,
    NamesConcepts,
    Needs,
    ObjectiveName,
    Rows,
    Score,
    Tokens,
    accuracy,
)
from vlobjectives.functional import paired_interval


class Recovery(Evaluation):
    """Accuracy of concept recovery: the most likely concept is one of the targets (a tag's hidden piece, a caption's).

    right          with the picture; the chance level is the concept most frequent in training, and how often it is
                   right here
    other_picture  the same tags and the same places hidden, beside the regions of another sample; slots see its
                   picture. Rows of the same picture are left out
    gain           right less other_picture, the paired difference with its Student's t interval; chance level 0

    Needs an objective that names the concepts of a picture (`NamesConcepts`).
    """

    paper = "MVPTR, arXiv 2201.12596"

    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, Needs(NamesConcepts)] = Field(
            "mcr", description="the objective that names concepts"
        )
        mask: MaskName | None = Field(
            None,
            description="mask of the picture's input that hides pieces of tags; null: "
            "the objective's own, or none where it names a field of concepts",
        )

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        objective = held.objective(self.config.of)
        view = objective.concept_view(held.inputs, self.config.mask)
        frequent = objective.frequent_concept(held.part)
        found: dict[str, list[Tensor]] = {"right": [], "other": [], "guess": []}
        for batch in held.batches():
            other = batch.same != batch.same.roll(1)
            for name, shown in (("right", batch), ("other", exchanged(batch, view.input.name))):
                picture = held.values({"picture": view}, shown)["picture"]
                logits, ids, valid = objective.named_concepts(picture, batch, held.part)
                counted = valid.any(1) & other.repeat_interleave(len(ids) // batch.size)
                found[name].append(((logits.argmax(1, keepdim=True) == ids) & valid).any(1)[counted])
            found["guess"].append(((ids == (0 if frequent is None else frequent)) & valid).any(1)[counted])
        right, other, guess = (torch.cat(rows) if rows else torch.zeros(0) for rows in found.values())
        if not right.numel():
            return {}
        chance = None if frequent is None else guess.double().mean().item()
        gain = paired_interval(right.tolist(), other.tolist())
        return {
            "right": accuracy(right, chance),
            "other_picture": accuracy(other, chance),
            "gain": Score(gain[0], 0.0, *gain[1:], right.numel()),
        }


def exchanged(batch: Batch, name: str) -> Batch:
    """The batch in which every row has the picture, or the regions beside its tags, of the row before it."""
    x = batch[name]
    moved = (
        replace(x, beside={key: _rolled(value) for key, value in x.beside.items()})
        if isinstance(x, Tokens)
        else _rolled(x)
    )
    return replace(batch, values={**batch.values, name: moved})


def _rolled(x: Any) -> Any:
    return x.map(lambda y: y.roll(1, 0)) if isinstance(x, Rows) else x.roll(1, 0)
