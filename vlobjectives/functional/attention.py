"""Attention, one signature for all ways to compute it."""

import torch
from torch import Tensor
from torch.nn import functional as F

# Large enough that exp underflows to an exact 0, small enough for float16. Finite, so that a row in which all
# is padding is a softmax of something and not NaN. As in RoBERTa and METER.
HIDDEN = -1e4


def attention_bias(valid: Tensor, dtype: torch.dtype) -> Tensor:
    """An additive mask [B,1,1,M] of valid [B,M] bool: 0 where valid, -10000 elsewhere."""
    return torch.where(valid, 0.0, HIDDEN).to(dtype)[:, None, None, :]


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None = None,
    dropout: float = 0.0,
    maps: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """softmax(q k' / sqrt(d) + bias) v.

    q        [B,h,N,d]; k, v [B,h,M,d]
    bias     added to the scores, broadcastable to [B,h,N,M]; from `attention_bias` where there is padding
    dropout  probability with which an attention weight is dropped, 0 outside of training
    maps     also return the probabilities [B,h,N,M], as they are before dropout; costs their memory

    Returns (out [B,h,N,d], maps or None).
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
