"""Phrase grounding judged by boxes: does a phrase's best region lie where its thing is."""

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Batch,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    GroundsPhrases,
    Needs,
    ObjectiveName,
    Sample,
    Score,
    Spec,
)
from vlobjectives.functional import mean_interval

ROWS = 64
"""Samples at once."""


class Grounding(Evaluation):
    """Accuracy of phrase grounding: the centre of the region most similar to a phrase lies in the phrase's box.

        box   share of a caption's phrases that are right; value and Student's t interval are over pictures

    Pairs are encoded anew and fused together, nothing is masked, and no score of separate passes enters (MVPTR,
    arXiv 2201.12596, trains on such, and its loss can fall without any grounding). A phrase of the field is judged by
    each phrase of the sample, with a box, that it lies within; relations span two and are left out. Regions are the
    patches of a grid, or the vectors beside the input's tags, whose last six numbers begin with x1, y1, x2, y2 as
    shares of width and height. The chance level is the larger of the box's share of the picture and the share of the
    picture's regions that would be right.

    Needs an objective that tells how similar phrases and regions are (`GroundsPhrases`).
    """

    paper = "MVPTR, arXiv 2201.12596"
    needs = frozenset({"regions"})

    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, Needs(GroundsPhrases)] = Field(
            "wpg", description="the objective that compares phrases with regions"
        )

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        objective = held.objective(self.config.of)
        rows: list[tuple[float, float, float]] = []
        for first in range(0, held.size(), ROWS):
            numbers = range(first, min(first + ROWS, held.size()))
            samples = [held.sample(number) for number in numbers]
            rows += self._judged(held, objective, samples, held.batch(samples, numbers))
        if not rows:
            return {}
        hits, *guesses = zip(*rows)
        value, low, high = mean_interval(hits)
        return {"box": Score(value, max(sum(guess) / len(guess) for guess in guesses), low, high, len(rows))}

    def _judged(
        self, held: EvaluationContext, objective: GroundsPhrases, samples: list[Sample], batch: Batch
    ) -> list[tuple[float, float, float]]:
        """Of each sample with phrases: share of hits, box's share of the picture, share of regions in the box."""
        view = objective.phrase_pairs(held.inputs)
        image = view.image.seen
        pairs = held.values({"pairs": view}, batch)["pairs"]
        alike = objective.phrase_similarities(pairs)
        valid = pairs.image.valid
        best = alike.masked_fill(~valid[:, None], -2.0).argmax(2).cpu()
        places = centres(held.spec(image.name), batch[image.name], batch.size)
        phrase, reader = objective.phrase_positions(pairs), held.readers[objective.phrase_field()]
        found = []
        for row, sample in enumerate(samples):
            spans = reader.read(sample.values["caption"]).spans
            at = phrase[row].nonzero()[:, 0].tolist()
            height, width = sample.values["masks"].shape[-2:] if len(sample.values["boxes"]) else (1, 1)
            there, judged = places[row][valid[row].cpu()], []
            for named, box in zip(sample.values["phrases"], torch.as_tensor(sample.values["boxes"])):
                box = box / torch.tensor([width, height, width, height])
                for place, (start, end) in zip(at, spans):
                    if named.first <= start < end <= named.end:
                        judged.append(
                            (
                                within(places[row][best[row, place]], box).item(),
                                ((box[2] - box[0]) * (box[3] - box[1])).item(),
                                within(there, box).double().mean().item(),
                            )
                        )
            if judged:
                found.append(tuple(sum(side) / len(judged) for side in zip(*judged)))
        return found


def centres(spec: Spec, shown: Any, size: int) -> Tensor:
    """Where each region's centre lies, [B,N,2] of x and y as shares of the picture, on the CPU."""
    if spec.grid is None:
        box = shown.beside[spec.beside].values[..., -6:-2].cpu()
        return (box[..., :2] + box[..., 2:]) / 2
    rows, columns = spec.grid
    y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1).expand(size, -1, -1)


def within(points: Tensor, box: Tensor) -> Tensor:
    """[...] bool, which of points [...,2] lie in the box x1, y1, x2, y2."""
    return ((points >= box[:2]) & (points < box[2:])).all(-1)
