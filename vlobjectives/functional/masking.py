"""How many positions a mask hides, and moving between positions, masks and tokens.

Everything here has static shapes and no boolean indexing, which would fetch a count from the device,
recompile for each count and fail under FakeTensorMode: a set of positions is an index [B,K] with a mask of
those that count.
"""

from typing import overload

import torch
from torch import Tensor


def num_kept(n: int, ratio: float) -> int:
    """Return how many of n patches are left when a share of `ratio` is dropped: int(n (1 - ratio)).

    The product is in double precision and cut off, as published (GLSCL, arXiv 2306.07096, its code): 64 of 324, 39 of
    196, and 19 of 100 at 0.8, since 1 - 0.8 is a little under 0.2. `n - num_replaced(n, ratio)` would be 65 of 324.

    Args:
        n: The number of patches.
        ratio: The share that is dropped, in [0, 1].

    Returns:
        The number of patches that are kept.
    """
    return int(n * (1 - ratio))


def num_replaced(n: int, ratio: float) -> int:
    """Return how many of n patches a share of `ratio` replaces: int(n ratio), as published (GLSCL, MLTC).

    Args:
        n: The number of patches.
        ratio: The share that is replaced, in [0, 1].

    Returns:
        The number of patches that are replaced.
    """
    return int(n * ratio)


@overload
def num_text_draws(length: int, ratio: float) -> int: ...
@overload
def num_text_draws(length: Tensor, ratio: float) -> Tensor: ...
def num_text_draws(length: int | Tensor, ratio: float) -> int | Tensor:
    """Return how many words are drawn, with replacement, from a caption.

    It is int((l - 2) ratio) + 1, or 0 where l <= 2, as published (GLSCL, MGSC): a ratio of 0 still draws one.

    Args:
        length: l, the tokens of the caption, begin and end included: an int, or an int64 tensor of any shape, whose
            arithmetic is in double precision too.
        ratio: The share of the words.

    Returns:
        The number of draws: an int, or an int64 tensor of the shape of `length`.
    """
    if isinstance(length, Tensor):
        drawn = ((length - 2).to(torch.float64) * ratio).to(torch.int64) + 1
        return torch.where(length > 2, drawn, 0)
    return int((length - 2) * ratio) + 1 if length > 2 else 0


def keep_indices(noise: Tensor, k: int) -> Tensor:
    """Return the k positions of least noise, in ascending order of it (GLSCL, MGSC).

    Args:
        noise: [B,n].
        k: The number of positions that are kept.

    Returns:
        [B,k] int64.
    """
    return noise.argsort(dim=-1, stable=True)[:, :k]


def sample_with_replacement(
    uniform: Tensor, draws: Tensor, low: int | Tensor, high: int | Tensor
) -> tuple[Tensor, Tensor]:
    """Draw positions with replacement, `draws[b]` of them, uniform on low, ..., high - 1.

    For GLSCL's words: `sample_with_replacement(u, num_text_draws(length, ratio), 1, length - 1)`.

    Args:
        uniform: [B,K] in [0,1).
        draws: [B] int64, at most K.
        low: The lowest position, an int or [B] int64.
        high: The position behind the highest one, an int or [B] int64.

    Returns:
        The positions [B,K] int64, and which of them count [B,K] bool. Surplus ones, and all of an empty range, are 0
        and do not count.
    """
    low, high = (x[:, None] if isinstance(x, Tensor) else x for x in (low, high))
    index = low + (uniform.to(torch.float64) * (high - low)).to(torch.int64)
    place = torch.arange(uniform.shape[1], device=uniform.device)
    ok = (place < draws[:, None]) & (high > low)
    return torch.where(ok, index, 0), ok


def gather_tokens(tokens: Tensor, index: Tensor) -> Tensor:
    """Return the tokens at given positions.

    Args:
        tokens: [B,N,D] or [B,N].
        index: [B,K] int64, positions.

    Returns:
        [B,K,D], or [B,K] of tokens [B,N].
    """
    if tokens.ndim == 3:
        index = index[..., None].expand(-1, -1, tokens.shape[2])
    return tokens.gather(1, index)


def indices_to_mask(index: Tensor, n: int, ok: Tensor | None = None) -> Tensor:
    """Mark the positions that indices point at.

    Args:
        index: [B,K] int64, positions.
        n: The number of positions of a row.
        ok: [B,K] bool, which indices count; None for all.

    Returns:
        [B,n] bool, True where an index that counts points.
    """
    if ok is not None:
        # Into a column that is cut off: a surplus 0 must not unmark a real 0.
        index = torch.where(ok, index, n)
    marked = torch.zeros(index.shape[0], n + 1, dtype=torch.bool, device=index.device)
    return marked.scatter(1, index, True)[:, :n]


def mask_to_indices(mask: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the positions of the True entries of a mask, ascending.

    Args:
        mask: [B,N] bool.
        size: The number of positions to return for each row; of more True entries the first ones are given.

    Returns:
        The positions [B,size] int64, and which of them count [B,size] bool. Surplus ones are 0 and do not count.
    """
    place = mask.cumsum(1) - 1
    place = torch.where(mask & (place < size), place, size)
    position = torch.arange(mask.shape[1], device=mask.device).expand_as(place)
    index = torch.zeros(mask.shape[0], size + 1, dtype=torch.int64, device=mask.device)
    index = index.scatter(1, place, position)[:, :size]
    return index, torch.arange(size, device=mask.device) < mask.sum(1, keepdim=True)
