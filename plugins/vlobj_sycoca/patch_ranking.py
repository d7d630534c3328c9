"""Patches that a caption speaks of: their scores, and how many of the best or the worst are hidden.

SyCoCa (arXiv 2401.02137) masks by token-wise similarity. Its paper's exact rule could not be read: what is written here
is this library's (docs/fidelity.md says which part of it is known).
"""

import torch
from torch import Tensor

from vlobjectives.functional.contrast import l2_normalize
from vlobjectives.functional.tiles import round_half_up


def word_scores(patches: Tensor, words: Tensor, valid: Tensor, mean: bool = False) -> Tensor:
    """How well each patch goes with a text: the largest (or mean) cosine over the text's words, [B,N].

        score_i = max_j <u_i, w_j>,   u and w of unit length

    patches  [B,N,E]
    words    [B,L,E]
    valid    [B,L] bool, the words that count; a text without any scores every patch 0
    """
    words = torch.where(valid[..., None], l2_normalize(words), 0.0)  # what stands in padding, NaN even, must not matter
    cosine = l2_normalize(patches) @ words.mT
    if mean:
        return cosine.sum(-1) / valid.sum(-1, keepdim=True).clamp_min(1)
    best = cosine.masked_fill(~valid[:, None], float("-inf")).amax(-1)
    return torch.where(valid.any(-1, keepdim=True), best, 0.0)


def ranked(score: Tensor, before: Tensor | None = None) -> Tensor:
    """Positions in order of falling score, [B,N] int64 of [B,N]; of equal scores the lower number comes first.

    before  [B,N], a permutation of the positions: of equal scores the one that stands first in it comes first
    """
    if before is None:
        return score.argsort(dim=-1, descending=True, stable=True)
    return before.gather(-1, score.gather(-1, before).argsort(dim=-1, descending=True, stable=True))


def best_count(n: int, ratio: float) -> int:
    """How many of n patches a share of `ratio` of the best is: rounded half up, at least one hidden and one seen."""
    return max(1, min(n - 1, round_half_up(ratio * n)))


def worst_count(n: int, ratio: float) -> int:
    """The same of the worst; with `best_count` of 1 - ratio it makes up n, for every n."""
    return n - best_count(n, 1 - ratio)
