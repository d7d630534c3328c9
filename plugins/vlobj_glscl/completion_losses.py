"""The forms of semantic completion that are not contrastive, and unit length for clips."""

from typing import Literal

import torch
from torch import Tensor

from vlobjectives.functional.contrast import l2_normalize

Axis = Literal["feature", "frame"]


def l2_normalize_over(x: Tensor, axis: Axis) -> Tensor:
    """Unit length of clip features x [B,F,D] over the feature axis, or, as published, over the frame axis.

    feature: u(x[b,f]), what is meant. frame: x[b,f,d] / sqrt(sum over f' of x[b,f',d]^2), which is what the
    published code of SCL (arXiv 2211.13437) and of video MGSC computes; with one frame it leaves only the
    signs, and no gradient. Raises ValueError for another axis.
    """
    if axis not in ("feature", "frame"):
        raise ValueError(f"axis is feature or frame, not {axis!r}")
    return l2_normalize(x, -1 if axis == "feature" else -2)


def l2_rows(p: Tensor, t: Tensor) -> Tensor:
    """|p - t|^2 of each row, which is 2 - 2 cos for unit rows: [...] of p, t [..., D] (SCL, form `l2`)."""
    return (p - t).square().sum(-1)


def cosine_rows(p: Tensor, t: Tensor) -> Tensor:
    """-log(1/2 p t + 1/2) of each row: [...] of unit rows p, t [..., D] (SCL, form `cosine`).

    0 where the directions agree. Published without a floor, so that rows which are opposite cost infinity, or NaN where
    rounding takes their cosine below -1; here the argument is at least 1e-7, which costs 16.1 and has no gradient.
    """
    return -torch.log((0.5 * (p * t).sum(-1) + 0.5).clamp_min(1e-7))
