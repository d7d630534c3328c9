"""Operations of attention, by arithmetic, whatever operator of whatever torch computes it."""

import pytest
import torch
from torch.nn import functional as F

from vlobjectives.costs import attention_flops
from vlobjectives.costs.meter import Meter

B, H, N, M, D, E = 2, 3, 7, 5, 4, 6
SCORES, VALUES = 2 * B * H * N * M * D, 2 * B * H * N * M * E
"""Of N x M scores of D numbers each, and of N sums of M values of E numbers; a multiply-add is two."""


def shapes(device: str = "meta", value: int = E) -> list[torch.Tensor]:
    sizes = ((N, D), (M, D), (M, value))
    return [torch.ones(B, H, *size, device=device, requires_grad=True) for size in sizes]


@pytest.mark.parametrize("name", [name for name in attention_flops.FUSED if hasattr(torch.ops.aten, name)])
def test_every_fused_operator_is_two_products_and_five_backward(name):
    q, k, v = shapes()
    out = torch.empty(B, H, N, E, device="meta")
    assert attention_flops.of(getattr(torch.ops.aten, name))(q, k, v, None, 0.0, out_val=out) == SCORES + VALUES
    backward = getattr(torch.ops.aten, f"{name}_backward", None)
    if backward is not None:  # scores again, their gradient, and those of queries, keys and values
        assert attention_flops.of(backward)(out, q, k, v, out, out_val=(q, k, v)) == 3 * SCORES + 2 * VALUES


def test_fewer_heads_of_keys_serve_all_queries():
    q, k, v = shapes()
    flash = attention_flops.of(torch.ops.aten._scaled_dot_product_flash_attention)
    assert flash(q, k[:, :1], v[:, :1], out_val=None) == SCORES + VALUES


def test_no_attention_operator_of_this_torch_is_left_uncounted():
    """A new one must get a formula here, or a plan would be low on that version alone."""
    composite = ("scaled_dot_product_attention", "_scaled_dot_product_attention_math")  # they call products
    packed = ("_flash_attention_", "_efficient_attention_", "_cudnn_attention_")  # the fused ones call them inside
    names = {
        name.split("::")[1].split(".")[0]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("aten::") and "attention" in name
    }
    own = {name for name in names if name not in composite and not name.startswith(packed)}
    assert {name for name in own if getattr(torch.ops.aten, name) not in attention_flops.FORMULAS} == set()
    assert set(attention_flops.FUSED) & own


def test_the_kernel_that_a_cpu_takes_is_counted_forward_and_backward():
    q, k, v = shapes("cpu", D)
    with Meter() as meter:
        with meter.work("forward"):
            out = F.scaled_dot_product_attention(q, k, v)
        with meter.work("backward"):
            out.sum().backward()
    assert meter.flops["forward"] == 2 * SCORES
    assert meter.flops["backward"] in (5 * SCORES, 4 * SCORES), "fused, or by products whose scores were kept"
    assert not meter.unknown


def test_multi_head_attention_in_one_operator():
    module = torch.nn.MultiheadAttention(8, 2, batch_first=True).eval()
    x = torch.ones(3, 5, 8)
    with torch.no_grad(), Meter() as meter, meter.work("me"):
        module(x, x, x, need_weights=False)
    assert meter.flops["me"] == 2 * 3 * (4 * 5 * 8 * 8) + 2 * 2 * 3 * 5 * 5 * 8 and not meter.unknown
