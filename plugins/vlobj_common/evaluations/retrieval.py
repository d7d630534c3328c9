"""Retrieval in the joint space, and what other evaluations share with it: galleries, and hits where scores tie."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from vlobjectives import (
    Evaluation,
    EvaluationConfig,
    EvaluationContext,
    InputName,
    PartName,
    Rows,
    Samples,
    Score,
    View,
    joint,
)
from vlobjectives.functional import wilson_interval

BLOCK = 1024
"""Queries compared with a gallery at once: bounds memory where the gallery is a whole split."""


class Retrieval(Evaluation):
    """R@k in both directions in the joint space: the share of queries with a right answer among the k nearest.

    Galleries are consecutive samples (the last one may be smaller); `image_to_text/rK` and `text_to_image/rK` are means
    over all queries of all galleries, with Wilson's interval over queries. A picture with several captions stands once;
    all of its captions are right.
    The chance level is what equal scores for everybody get, K / gallery where each query has one right answer. Where
    the source can, `oracle/...` is what a reader of the descriptions scores in the same galleries: the ceiling.
    """

    class Config(EvaluationConfig):
        gallery: Samples | None = Field(256, ge=2, description="samples that compete; null: the whole split")
        ks: tuple[Samples, ...] = Field((1, 5, 10), description="the K of R@K, beside 1")
        image: InputName = Field("image", description="input that shows the picture")
        text: InputName = Field("text", description="input that holds the caption")
        joint: PartName = Field("joint", description="projection to the joint space")

    def views(self, inputs):
        image, text = inputs[self.config.image], inputs[self.config.text]
        return {"image": joint(image, part=self.config.joint), "text": joint(text, part=self.config.joint)}

    def run(self, held):
        hits, luck = defaultdict(list), defaultdict(list)
        for gallery in galleries(held, self.views(held.inputs), self.config.gallery):
            pictures, same = gallery.rows(first_of(gallery.same)), gallery.same
            v, t = pictures.values["image"].pooled, gallery.values["text"].pooled
            for way, queries, asked, answers, known in (
                ("image_to_text", v, pictures.same, t, same),
                ("text_to_image", t, same, v, pictures.same),
            ):
                for rows in torch.arange(len(queries), device=queries.device).split(BLOCK):
                    scores, right = queries[rows] @ answers.T, asked[rows, None] == known
                    for found, each in ((hits, scores), (luck, torch.zeros_like(scores))):
                        for k, share_of_k in within(each, right, {1, *self.config.ks}).items():
                            found[f"{way}/r{k}"].append(share_of_k)
            if "oracle" in held.source.can:
                best = held.source.oracle(held.split, gallery.number.tolist())
                for way in ("image_to_text", "text_to_image"):
                    hits[f"oracle/{way}/r1"].append(torch.full((len(v),), getattr(best, way), dtype=torch.float64))
        return {
            name: share(torch.cat(rows), torch.cat(luck[name.removeprefix("oracle/")]).mean().item())
            for name, rows in hits.items()
        }


def first_of(same: Tensor) -> Tensor:
    """Rows at which each number of `same` [n] stands for the first time, in order."""
    known, number = same.unique(return_inverse=True)
    place = torch.arange(len(same), device=same.device)
    return torch.full_like(known, len(same)).scatter_reduce(0, number, place, "amin").sort().values


@dataclass(frozen=True, eq=False)
class Gallery(Rows):
    """Consecutive samples of a split with the values of some views: number [n], same [n], values by name, and where
    asked for the captions' tokens, ids [n,L]."""

    number: Tensor
    same: Tensor
    values: Mapping[str, Any]
    ids: Tensor | None = None


def galleries(
    held: EvaluationContext, views: Mapping[str, View], size: int | None, text: str | None = None
) -> Iterator[Gallery]:
    """The split in galleries of `size` samples (None: one of all), whatever the host's batches are.

    text  the input whose tokens `ids` holds
    """
    size = size or max(held.size(), 1)
    parts: list[Gallery] = []
    have = 0
    for batch in held.batches():
        parts.append(Gallery(batch.number, batch.same, held.values(views, batch), text and batch[text].ids))
        have += batch.size
        while have >= size:
            whole = joined(parts)
            yield whole.rows(slice(0, size))
            parts, have = [whole.rows(slice(size, None))], have - size
    if have:
        yield joined(parts)


def joined(parts: Sequence[Any]) -> Any:
    """Rows (and mappings and tensors in them) one after the other; of what has no row axis, the first."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts)) if first.dim() else first
    if isinstance(first, Rows):
        return replace(first, **{f.name: joined([getattr(part, f.name) for part in parts]) for f in fields(first)})
    if isinstance(first, Mapping):
        return {key: joined([part[key] for part in parts]) for key in first}
    return first


def within(scores: Tensor, right: Tensor, ks: Collection[int]) -> dict[int, Tensor]:
    """k -> for each query the probability, [Q] float64, that a right answer is among its k best.

    scores, right  [Q,C]; every query has a right answer. 0 or 1, but where scores tie: equal ones stand in random
                   order. A score that is no number is the worst.
    """
    scores = scores.nan_to_num(nan=float("-inf"), posinf=float("inf"), neginf=float("-inf"))
    best = scores.masked_fill(~right, float("-inf")).amax(1, keepdim=True)
    above = ((scores > best) & ~right).sum(1)
    tied, own = ((scores == best) & ~right).sum(1).double(), ((scores == best) & right).sum(1)
    found, missed = {}, torch.ones(len(scores), dtype=torch.float64, device=scores.device)
    for place in range(max(ks)):
        # The wrong ones above take the first places; then each draw from the tied ones misses with this probability.
        draw = (place - above).clamp_min(0)
        wrong = (tied - draw).clamp_min(0) / (tied + own - draw).clamp_min(1)
        missed = torch.where(place >= above, missed * wrong, missed)
        if place + 1 in ks:
            found[place + 1] = 1 - missed
    return found


def share(hits: Tensor, chance: float | None) -> Score:
    """A share of hits [n], each in 0..1 (ties are fractions), with its Wilson interval."""
    total, n = hits.double().sum().item(), hits.numel()
    return Score(total / n if n else 0.0, chance, *wilson_interval(total, n), n)
