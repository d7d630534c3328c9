"""How often masked concept recovering names the right concept, and whether it looked at the picture."""

from dataclasses import replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Batch,
    Evaluation,
    EvaluationConfig,
    MaskName,
    ObjectiveName,
    Rows,
    Score,
    Tokens,
    accuracy,
    encoded,
)
from vlobjectives.functional import paired_interval


class Recovery(Evaluation):
    """Accuracy of concept recovery: the most likely concept is one of the targets (a tag's hidden piece, a caption's).

    right          with the picture; chance is the concept most frequent in training, and how often it is right here
    other_picture  the same tags and the same places hidden, beside the regions of another sample; slots see its
                   picture. Rows of the same picture are left out
    gain           right less other_picture, the paired difference with its Student's t interval; chance is 0
    """

    paper = "MVPTR, arXiv 2201.12596"

    class Config(EvaluationConfig):
        of: ObjectiveName = Field("mcr", description="the objective that names concepts")
        mask: MaskName | None = Field(
            None,
            description="mask of the picture's input that hides pieces of tags; null: "
            "the objective's own, or none where it names a field of concepts",
        )

    def suits(self, objectives):
        judged = objectives[self.config.of].config
        if judged.targets is None and self.config.mask is None and judged.mask is None:
            raise self.cannot(
                f"objective '{self.config.of}' names no mask of its own",
                "name the one of the picture's input: evaluate.recovery.mask=NAME",
            )

    def run(self, held):
        objective = held.objective(self.config.of)
        config, mask = objective.config, self.config.mask or objective.config.mask
        view, head = encoded(held.inputs[config.image].masked(mask)), held.part(config.head)
        found: dict[str, list[Tensor]] = {"right": [], "other": [], "guess": []}
        most = next(iter(head.spec.fields.values())).share
        for batch in held.batches():
            other = batch.same != batch.same.roll(1)
            for name, shown in (("right", batch), ("other", exchanged(batch, config.image))):
                picture = held.values({"picture": view}, shown)["picture"]
                logits, ids, valid = objective.named(picture, head, batch)
                counted = valid.any(1) & other.repeat_interleave(len(ids) // batch.size)
                found[name].append(((logits.argmax(1, keepdim=True) == ids) & valid).any(1)[counted])
            frequent = max(range(len(most)), key=most.__getitem__) - objective.first if most else 0
            found["guess"].append(((ids == frequent) & valid).any(1)[counted])
        right, other, guess = (torch.cat(rows) if rows else torch.zeros(0) for rows in found.values())
        if not right.numel():
            return {}
        chance = guess.double().mean().item() if most else None
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
