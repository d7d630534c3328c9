"""How many positions a mask hides, and moving between positions, masks and tokens.

Everything here has static shapes and no boolean indexing, which would fetch a count from the device,
recompile for each count and fail under FakeTensorMode: a set of positions is an index [B,K] with a mask of
those that count.
"""

from typing import overload

import torch
from torch import Tensor


def num_kept(n: int, ratio: float) -> int:
    """How many of n patches are left when a share of `ratio` is dropped: int(n (1 - ratio)).

    In double precision and cut off, as published (GLSCL, arXiv 2306.07096, its code): 64 of 324, 39 of 196,
    and 19 of 100 at 0.8, since 1 - 0.8 is a little under 0.2. `n - replaced(n, ratio)` would be 65 of 324.
    """
    return int(n * (1 - ratio))


def num_replaced(n: int, ratio: float) -> int:
    """How many of n patches a share of `ratio` replaces: int(n ratio), as published (GLSCL, MLTC)."""
    return int(n * ratio)


@overload
def num_text_draws(length: int, ratio: float) -> int: ...
@overload
def num_text_draws(length: Tensor, ratio: float) -> Tensor: ...
def num_text_draws(length: int | Tensor, ratio: float) -> int | Tensor:
    """How many words are drawn, with replacement, from a caption of `length` tokens, begin and end included.

    int((l - 2) ratio) + 1, or 0 where l <= 2, as published (GLSCL, MGSC): a ratio of 0 still draws one.
    `length` is an int or an int64 tensor of any shape, whose arithmetic is in double precision too.
    """
    if isinstance(length, Tensor):
        drawn = ((length - 2).to(torch.float64) * ratio).to(torch.int64) + 1
        return torch.where(length > 2, drawn, 0)
    return int((length - 2) * ratio) + 1 if length > 2 else 0


def keep_indices(noise: Tensor, k: int) -> Tensor:
    """The k positions of least noise in ascending order of it, [B,k] of noise [B,n] (GLSCL, MGSC)."""
    return noise.argsort(dim=-1, stable=True)[:, :k]


def sample_with_replacement(
    uniform: Tensor, draws: Tensor, low: int | Tensor, high: int | Tensor
) -> tuple[Tensor, Tensor]:
    """Positions drawn with replacement, `draws[b]` of them, uniform on low, ..., high - 1.

    uniform    [B,K] in [0,1)
    draws      [B] int64, at most K
    low, high  the range, `high` excluded; ints or [B] int64

    Returns (index [B,K] int64, ok [B,K] bool): surplus ones, and all of an empty range, are 0 and not ok.
    For GLSCL's words: `sample_with_replacement(u, num_text_draws(length, ratio), 1, length - 1)`.
    """
    low, high = (x[:, None] if isinstance(x, Tensor) else x for x in (low, high))
    index = low + (uniform.to(torch.float64) * (high - low)).to(torch.int64)
    place = torch.arange(uniform.shape[1], device=uniform.device)
    ok = (place < draws[:, None]) & (high > low)
    return torch.where(ok, index, 0), ok


def gather_tokens(tokens: Tensor, index: Tensor) -> Tensor:
    """The tokens at index [B,K] int64: [B,K,D] of tokens [B,N,D], or [B,K] of [B,N]."""
    if tokens.ndim == 3:
        index = index[..., None].expand(-1, -1, tokens.shape[2])
    return tokens.gather(1, index)


def indices_to_mask(index: Tensor, n: int, ok: Tensor | None = None) -> Tensor:
    """[B,n] bool, True where an index that is `ok` points: index [B,K] int64, ok [B,K] bool, None for all."""
    if ok is not None:
        # Into a column that is cut off: a surplus 0 must not unmark a real 0.
        index = torch.where(ok, index, n)
    marked = torch.zeros(index.shape[0], n + 1, dtype=torch.bool, device=index.device)
    return marked.scatter(1, index, True)[:, :n]


def mask_to_indices(mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """The positions of the True entries of mask [B,N], ascending: (index [B,size] int64, ok [B,size] bool).

    Surplus ones are 0 and not ok; of more than `size` entries the first ones are given.
    """
    place = mask.cumsum(1) - 1
    place = torch.where(mask & (place < size), place, size)
    position = torch.arange(mask.shape[1], device=mask.device).expand_as(place)
    index = torch.zeros(mask.shape[0], size + 1, dtype=torch.int64, device=mask.device)
    index = index.scatter(1, place, position)[:, :size]
    return index, torch.arange(size, device=mask.device) < mask.sum(1, keepdim=True)
