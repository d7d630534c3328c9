"""Galleries of consecutive samples, and how often a right answer is among the best of one, where scores tie too."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from vlobjectives import EvaluationContext, Rows, View


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
        ids = batch[text].ids if text else None
        parts.append(Gallery(batch.number, batch.same, held.values(views, batch), ids))
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


def ways(image: str, text: str) -> tuple[str, str]:
    """What scores of the two directions are called, after the inputs: `image_to_text`, `text_to_image`."""
    return f"{image}_to_{text}", f"{text}_to_{image}"


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
