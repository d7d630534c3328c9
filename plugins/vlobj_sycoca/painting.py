"""Whether hidden patches are painted by the caption, or by what is left of the picture alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import torch
from pydantic import Field

from vlobjectives import (
    Batch,
    Encoded,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    Needs,
    ObjectiveName,
    ReconstructsPixels,
    Score,
)
from vlobjectives.functional import mean_interval


class Painting(Evaluation):
    """Increase of the reconstruction loss when the caption is another picture's, under the same mask.

        gain    L(picture, another picture's caption) - L(picture, its own), both under the mask that its own chose
        loss    L(picture, its own caption)

    Mean over pictures, Student's interval. A wrong caption is that of the next picture of its batch; where the two
    captions are equal the picture is left out; no score where all are. The chance level of `gain` is 0: a
    reconstruction that ignores the caption.

    Needs an objective that reconstructs pixels from a masked picture and a text (`ReconstructsPixels`).
    """

    paper = "SyCoCa, arXiv 2401.02137"

    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, Needs(ReconstructsPixels)] = Field(
            "tgmim", description="objective that reconstructs, and whose mask is used"
        )

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        objective = held.objective(self.config.of)
        view = objective.reconstruction(held.inputs)
        if view.memory is None:
            raise self.cannot(
                f"the objective '{self.config.of}' reads no text", f"objectives.{self.config.of}.memory=text"
            )
        memory, mask = view.memory.input.name, view.query.input.mask
        right, wrong = [], []
        for batch in held.batches():
            if batch.size < 2:
                continue
            own = held.values({"painted": view}, batch)["painted"]
            tokens = batch[memory]
            turned = tokens.rows(torch.arange(batch.size, device=tokens.ids.device).roll(1))
            other = replace(batch, values={**batch.values, memory: turned})
            painted = held.values({"painted": view}, other, draws={mask: own.draw})["painted"]
            for row, differs in enumerate((turned.ids != tokens.ids).any(1).tolist()):
                if differs:
                    right.append(_loss(objective, own, batch, row))
                    wrong.append(_loss(objective, painted, batch, row))
        if not right:
            return {}
        gain, low, high = mean_interval(b - a for a, b in zip(right, wrong))
        loss, least, most = mean_interval(right)
        return {
            "gain": Score(gain, 0.0, low, high, len(right), per_cent=False),
            "loss": Score(loss, None, least, most, len(right), per_cent=False),
        }


def _loss(objective: ReconstructsPixels, painted: Encoded, batch: Batch, row: int) -> float:
    rows = slice(row, row + 1)
    return float(objective.reconstruction_error(painted.rows(rows), batch.rows(rows)))
