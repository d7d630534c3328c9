"""A linear reader of the fused class features: do they hold which colour belongs to which shape."""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Amount,
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    Fused,
    Input,
    InputName,
    PartName,
    Score,
    View,
    fused,
    not_none,
)
from vlobjectives.functional.statistics import t_quantile

PARTS = 16
"""Parts of the tested scenes that the jackknife leaves out in turn."""


class Probe(Evaluation):
    """AUC of a linear probe on the fused class tokens for whether a colour and a shape belong to the same object.

    A ridge regression for each pair (colour, shape), fitted on the first part of the split and tested on the rest,
    W = (X'X / n + ridge I)^-1 X'Y / n on standardised features X [n,D]: class tokens of picture and text side by side
    (of a fusion without, its pooled output).

        all    over all scenes: mostly whether the colour and the shape are there at all
        hard   over the scenes that hold both the colour and the shape, in one thing or in two: binding alone

    The value is the mean over pairs that have both answers, chance level 50 %, n the tested scenes. The interval is the
    jackknife's (Student's t over parts of the tested scenes left out in turn): it holds for this readout, as folds
    that share their training scenes would not. A scene's things are its `tags` ("red circle").
    """

    needs = frozenset({"words", "tags"})

    class Config(EvaluationConfig):
        train: float = Field(0.5, gt=0, lt=1, description="share of the split, from its start, that is fitted on")
        ridge: Amount = Field(0.1, gt=0, description="penalty, beside features of variance 1")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        fusion: PartName = Field("fusion", description="fusion whose features are read")

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        return {"pairs": fused(inputs[self.config.image], inputs[self.config.text], part=self.config.fusion)}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        views = self.views(held.inputs)
        x = torch.cat([features(held.values(views, batch)["pairs"]).double().cpu() for batch in held.batches()])
        together, both = self._pairs(held)
        first = int(len(x) * self.config.train)
        if not 0 < first < len(x):
            return {}
        read = ridge(x[:first], together[:first].double(), x[first:], self.config.ridge)
        scores = {}
        for name, asked in (("all", torch.ones_like(both)), ("hard", both)):
            score = jackknifed(read, together[first:], asked[first:])
            if score is not None:
                scores[name] = score
        return scores

    def _pairs(self, held: EvaluationContext) -> tuple[Tensor, Tensor]:
        """For each scene and pair, [n, colours * shapes] bool: stand together in one thing; are both there."""
        colours, shapes = held.source.words("colour"), held.source.words("shape")
        together = torch.zeros(held.size(), len(colours), len(shapes), dtype=torch.bool)
        for number in range(held.size()):
            for tag in held.sample(number).values["tags"]:
                words = tag.split()
                here = [[names.index(word) for word in words if word in names] for names in (colours, shapes)]
                for colour in here[0]:
                    for shape in here[1]:
                        together[number, colour, shape] = True
        both = together.any(2)[:, :, None] & together.any(1)[:, None, :]
        return together.flatten(1), both.flatten(1)


def jackknifed(scores: Tensor, truth: Tensor, asked: Tensor) -> Score | None:
    """The mean of `auc` over columns with its jackknife interval over parts of the rows; None if no column has one."""
    areas, part = auc(scores, truth, asked), torch.arange(len(scores)) % PARTS
    without = [auc(scores[part != k], truth[part != k], asked[part != k]) for k in range(PARTS)]
    if not areas.numel() or not all(some.numel() for some in without):
        return None
    value, left = areas.mean().item(), torch.stack([some.mean() for some in without])
    error = ((PARTS - 1) / PARTS * (left - left.mean()).square().sum()).sqrt().item()
    reach = t_quantile(PARTS - 1) * error
    return Score(value, 0.5, max(value - reach, 0.0), min(value + reach, 1.0), len(scores))


def features(value: Fused) -> Tensor:
    """[B,D] class tokens of both sides, frames averaged; without any, the pooled output."""
    classes = [side.cls.mean(1) for side in (value.image, value.text) if side.cls is not None]
    return torch.cat(classes, -1) if classes else not_none(value.pooled, "class token or pooled output to probe")


def ridge(x: Tensor, y: Tensor, new: Tensor, penalty: float) -> Tensor:
    """Predictions [M,T] for new [M,D] of a ridge regression of y [N,T] on x [N,D], features standardised."""
    mean, std = x.mean(0), x.std(0, unbiased=False).clamp_min(1e-6)
    x, new = (x - mean) / std, (new - mean) / std
    covariance = x.T @ x / len(x) + penalty * torch.eye(x.shape[1], dtype=x.dtype)
    return new @ torch.linalg.solve(covariance, x.T @ (y - y.mean(0)) / len(x)) + y.mean(0)


def auc(scores: Tensor, truth: Tensor, asked: Tensor) -> Tensor:
    """Area under the curve of each column that has both answers among the rows asked for; all [M,T].

    The share of (true, false) couples of rows that the scores put in the right order, a tie being half.
    """
    areas = []
    for column, yes, here in zip(scores.T, truth.T, asked.T):
        true, false = column[yes & here], column[~yes & here]
        if true.numel() and false.numel():
            ahead = true[:, None] - false
            areas.append(((ahead > 0).double() + 0.5 * (ahead == 0)).mean())
    return torch.stack(areas) if areas else scores.new_zeros(0)
