"""Symmetric noise-contrastive estimation, the loss behind ITC, MGSC, SCL and MLTC."""

import torch
from torch import Tensor
from torch.nn import functional as F


def l2_normalize(x: Tensor, dim: int = -1) -> Tensor:
    """Scale vectors to unit length: u(a) = a / max(|a|, 1e-8).

    Args:
        x: Vectors along `dim`, any shape.
        dim: The axis of the vectors.

    Returns:
        The shape of `x`. A zero vector stays zero and gets a finite gradient.
    """
    length: Tensor = torch.linalg.vector_norm(x, dim=dim, keepdim=True)
    return x / length.clamp_min(1e-8)


def symmetric_info_nce(
    p: Tensor,
    t: Tensor,
    tau: float | Tensor,
    valid: Tensor | None = None,
    positives: Tensor | None = None,
) -> Tensor:
    """Compute each row's part of SymNCE: its row term plus the column term of the same number.

        S = p t' / tau
        value_i = - log softmax_j(S_ij) at j = i  -  log softmax_j(S_ji) at j = i

    The mean of the values over the valid rows is SymNCE, the *sum* of the two directions and not their half (GLSCL,
    arXiv 2306.07096, as its published code computes it). It lies in [0, 2 (2/tau + log N)]. It is 0 for one row,
    and 2 log N for N equal ones. The values come without a mean, so that a host can divide by a count over processes.

    The function takes N x N of memory. It runs under FakeTensorMode and torch.compile without a break.

    Args:
        p: [..., N, D], predictions (or captions), float32 or wider; unit rows, which the caller makes with
            `l2_normalize`. Leading axes are separate problems: frames of clips as [F, N, D].
        t: [..., N, D], targets (or pictures), likewise; row i is the positive of row i of `p`.
        tau: Temperature, a float or a 0-d tensor that may be learned.
        valid: [..., N] bool; None for all rows. A row that is not valid is nobody's candidate, gives 0 and gets no
            gradient, whatever stands in it.
        positives: [..., N, N] bool, which targets (columns) are right for which predictions; the row's own is right in
            any case. A row with several takes the mean of their log-probabilities. They are for rows whose captions are
            equal, which one positive would push apart.

    Returns:
        [..., N], nats.
    """
    count = p.shape[-2]
    own = torch.eye(count, dtype=torch.bool, device=p.device)
    if valid is not None:
        # Zeroed rather than only masked: 0 * NaN in the product's backward would reach the valid rows.
        p = torch.where(valid[..., None], p, 0.0)
        t = torch.where(valid[..., None], t, 0.0)
    logits = p / tau @ t.mT
    seen = None
    if valid is not None:
        # A row always sees itself, so a row that is not valid is a softmax of one entry: value and gradient
        # 0.
        seen = own | (valid[..., :, None] & valid[..., None, :])
        # Added and not filled in: the gradient then passes through without a copy.
        logits = logits + torch.zeros_like(logits).masked_fill_(~seen, float("-inf"))
    # log_softmax and not logsumexp - diagonal: the latter cancels where the loss is small.
    by_row = F.log_softmax(logits, dim=-1)
    by_column = F.log_softmax(logits, dim=-2)
    if positives is None:
        return -(by_row.diagonal(dim1=-2, dim2=-1) + by_column.diagonal(dim1=-2, dim2=-1))
    right = own | positives
    if seen is not None:
        right = right & seen
    return -(_mean(by_row, right, -1) + _mean(by_column, right, -2))


def _mean(x: Tensor, where: Tensor, dim: int) -> Tensor:
    """Mean of `x` along `dim` over the places where `where`, -inf elsewhere notwithstanding."""
    return torch.where(where, x, 0.0).sum(dim) / where.sum(dim)
