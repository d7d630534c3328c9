"""How well the phrases of a text find regions of a picture: the score behind weakly supervised grounding."""

from typing import Literal

import torch
from torch import Tensor

from vlobjectives import not_none
from vlobjectives.functional.contrast import l2_normalize

Rule = Literal["pick", "max", "mean"]


def similarities(phrases: Tensor, regions: Tensor) -> Tensor:
    """Cosines [N,P,R] of phrases [N,P,D] and regions [N,R,D]."""
    return l2_normalize(phrases) @ l2_normalize(regions).mT


def grounding_score(
    similarity: Tensor, phrase: Tensor, region: Tensor, k: int, rule: Rule, uniform: Tensor | None = None
) -> Tensor:
    """Mean over a text's phrases of what each finds among its k nearest regions (MVPTR, arXiv 2201.12596, its code).

        max   the nearest region
        mean  the mean of the min(k, q) nearest, q being the regions that there are
        pick  one of the min(k, q) nearest, each being as likely; its expectation is `mean`

    similarity      [N,P,R]
    phrase, region  [N,P], [N,R] bool, which positions are phrases and regions
    uniform         [N,P] in [0,1), which one `pick` takes

    Returns [N]; 0 where a text has no phrase or a picture no region.
    """
    best = similarity.masked_fill(~region[:, None], -2.0).topk(min(k, similarity.shape[2]), dim=2).values
    there = region.sum(1).clamp(1, best.shape[2])
    place = torch.arange(best.shape[2], device=best.device)
    if rule == "max":
        wanted = (place == 0).expand_as(best)
    elif rule == "mean":
        wanted = (place < there[:, None, None]).expand_as(best)
    else:
        wanted = place == (not_none(uniform, "number to pick a region by") * there[:, None]).long()[..., None]
    found = torch.where(wanted, best, 0.0).sum(2) / wanted.sum(2)
    phrase = phrase & region.any(1, keepdim=True)
    return torch.where(phrase, found, 0.0).sum(1) / phrase.sum(1).clamp_min(1)
