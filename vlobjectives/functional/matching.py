"""Which rows of a batch stay matched, and with whom the others are paired."""

import torch
from torch import Tensor


def matched_half(uniform: Tensor, group: int | None = None) -> Tensor:
    """Choose which rows stay matched: exactly floor(g/2) of each `group` consecutive rows.

    As in GLSCL's ITM (arXiv 2306.07096). Of one row none is matched.

    Args:
        uniform: [B], random numbers; their ranks decide, so that ties cost nothing.
        group: g, the rows of a group; None is the whole batch.

    Returns:
        [B] bool, True at rows that stay matched.

    Raises:
        ValueError: The rows are no multiple of `group`.
    """
    grouped = uniform.reshape(-1, _size(uniform.shape[0], group))
    rank = grouped.argsort(dim=-1, stable=True).argsort(dim=-1)
    return (rank < grouped.shape[1] // 2).reshape(-1)


def positive_pairs(same: Tensor, ids: Tensor | None = None, among: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """Tell which caption (row) is right for which picture (column), by all that the rows say.

    Args:
        same: [B] int64, equal numbers for equal pictures.
        ids: [B,L] int64, the captions' tokens: a caption is right for every picture that a row of an equal caption
            shows. None: it is right for its own picture alone, and for those equal to it.
        among: (same [N], ids [N,L]) of the rows that the pictures are of, these rows among them; None: these rows.

    Returns:
        [B,N] bool.
    """
    pictures = same if among is None else among[0]
    if ids is None:
        return same[:, None].eq(pictures)
    captions = ids if among is None else among[1]
    alike, equal = ids[:, None].eq(captions).all(-1), pictures[:, None].eq(pictures)
    return (alike.float() @ equal.float()).gt(0)


def mine_negatives(
    scores: Tensor, same: Tensor, group: int | None = None, right: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Find for each row the row of its group with the highest score among those that show another picture.

    Args:
        scores: [B,g], finite; column c is the c-th row of the row's own group. Uniforms give random negatives,
            similarities hard ones. Of equal scores the first wins.
        same: [B] int64, equal numbers for equal pictures.
        group: g consecutive rows choose among each other; None is the whole batch.
        right: [B,g] bool, further rows that are no wrong partner (`positive_pairs`).

    Returns:
        The partners [B] int64, rows of the batch, and which of them are valid [B] bool. A row without a candidate is
        not valid and points at itself.

    Raises:
        ValueError: The rows are no multiple of `group`.
    """
    batch = same.shape[0]
    size = _size(batch, group)
    grouped = same.reshape(-1, size)
    other = (grouped[:, :, None] != grouped[:, None, :]).reshape(batch, size)
    if right is not None:
        other = other & ~right
    row = torch.arange(batch, device=same.device)
    best = scores.masked_fill(~other, float("-inf")).argmax(dim=-1) + row // size * size
    valid = other.any(dim=-1)
    # argmax over nothing but -inf is 0 and would quietly pair with the group's first row
    return torch.where(valid, best, row), valid


def _size(batch: int, group: int | None) -> int:
    size = batch if group is None else group
    if size < 1 or batch % size:
        raise ValueError(f"{batch} rows are no multiple of a group of {group}")
    return size
