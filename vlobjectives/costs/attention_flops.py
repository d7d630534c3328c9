"""Floating-point operations of every attention operator of torch, so that a plan is the same on every version of it.

torch's own counter knows some of them, and which ones hangs on its version: where the CPU's fused attention has no
formula a plan of a transformer is five per cent low. Everything else (products, convolutions) is counted by
its formulas, so are the operators on packed rows (`_flash_attention_forward`), which no part of a plan calls by itself.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import flop_registry


def attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    """Two products, a multiply-add counted as two: scores [N,M] from d numbers each, then their sums of values.

    query    [B,h,N,d]; key [B,h,M,d]; value [B,h,M,e]; fewer heads of keys serve several of queries
    A causal mask is not subtracted, as no convention does that.
    """
    *rows, length, width = query.shape
    return 2 * _product(rows) * length * key.shape[-2] * (width + value.shape[-1])


def attention_backward(_: Tensor, query: Tensor, key: Tensor, value: Tensor, *__: Any, **___: Any) -> int:
    """Five products: the scores again, since a fused operator keeps none, and the gradients of scores, q, k and v."""
    *rows, length, width = query.shape
    return 2 * _product(rows) * length * key.shape[-2] * (3 * width + 2 * value.shape[-1])


def whole_attention(query: Tensor, key: Tensor, value: Tensor, width: int, heads: int, *_: Any, **__: Any) -> int:
    """What `nn.MultiheadAttention` calls without gradients: projections of [B,N,D] and attention in one operator."""
    batch, length = query.shape[:2]
    others = key.shape[1]
    projections = 2 * batch * width * width * (2 * length + 2 * others)
    return projections + 4 * batch * length * others * width


def of(operator: Any) -> Callable[..., int] | None:
    """The formula of an operator's packet, called with its arguments and `out_val`; None: there is none."""
    return FORMULAS.get(operator) or flop_registry.get(operator)


def _product(sizes: list[int]) -> int:
    total = 1
    for size in sizes:
        total *= size
    return total


FUSED = (
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
    "_scaled_dot_product_attention_math_for_mps",
)
"""All that `scaled_dot_product_attention` may become; some versions of torch lack some."""
FORMULAS: dict[Any, Callable[..., int]] = {
    getattr(torch.ops.aten, name + suffix): formula
    for name in FUSED
    for suffix, formula in (("", attention), ("_backward", attention_backward))
    if hasattr(torch.ops.aten, name + suffix)
}
FORMULAS |= {
    torch.ops.aten._triton_scaled_dot_attention: attention,
    torch.ops.aten._triton_multi_head_attention: whole_attention,
    torch.ops.aten._native_multi_head_attention: whole_attention,
}
