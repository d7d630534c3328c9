"""Attention, one signature for all ways to compute it."""

import torch
from torch import Tensor
from torch.nn import functional as F

# Large enough that exp underflows to an exact 0, small enough for float16. Finite, so that a row in which all
# is padding is a softmax of something and not NaN. As in RoBERTa and METER.
HIDDEN = -1e4


def attention_bias(valid: Tensor, dtype: torch.dtype) -> Tensor:
    """Return an additive attention mask: 0 where valid, -10000 elsewhere.

    Args:
        valid: [B,M] bool, the keys that attention sees.
        dtype: The type of the mask.

    Returns:
        [B,1,1,M], to be added to the scores (`attention`).
    """
    return torch.where(valid, 0.0, HIDDEN).to(dtype)[:, None, None, :]


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    maps: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Compute softmax(q k' / sqrt(d) + bias) v.

    Args:
        q: [B,h,N,d], queries of h heads.
        k: [B,h,M,d], keys.
        v: [B,h,M,d], values.
        bias: Added to the scores, broadcastable to [B,h,N,M]; from `attention_bias` where there is padding.
        dropout: The probability with which an attention weight is dropped; 0 outside of training.
        maps: Whether to return the probabilities too, as they are before dropout. They cost their memory.

    Returns:
        The output [B,h,N,d], and the probabilities [B,h,N,M] or None.
    """
    if bias is not None:
        bias = bias.to(q.dtype)
    if not maps and not _slow_fused(q):
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias, dropout_p=dropout), None
    scores = (q * q.shape[-1] ** -0.5) @ k.mT
    if bias is not None:
        scores = scores + bias
    weights = scores.softmax(dim=-1)
    out = F.dropout(weights, dropout) @ v
    return out, weights if maps else None


def _slow_fused(q: Tensor) -> bool:
    """Whether the fused kernel loses to two products: on CPU in half precision by a factor of seven or so."""
    if q.device.type != "cpu":
        return False
    return q.dtype in (torch.bfloat16, torch.float16) or torch.is_autocast_enabled("cpu")
