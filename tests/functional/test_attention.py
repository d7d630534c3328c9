"""One attention, however it is computed."""

import math

import pytest
import torch
from torch import Tensor

from vlobjectives.functional import attention, attention_bias


def inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, 3, n, 4, dtype=torch.float64, generator=g).to(dtype) for n in (5, 7, 7))


VALID = torch.tensor([[True] * 4 + [False] * 3, [True] * 7])


def test_is_its_definition() -> None:
    q, k, v = inputs()
    bias = torch.randn(2, 3, 5, 7, dtype=torch.float64)
    weights = (torch.einsum("bhnd,bhmd->bhnm", q, k) / math.sqrt(4) + bias).softmax(-1)
    out, maps = attention(q, k, v, bias, maps=True)
    torch.testing.assert_close(maps, weights, rtol=0, atol=1e-14)
    torch.testing.assert_close(out, torch.einsum("bhnm,bhmd->bhnd", weights, v), rtol=0, atol=1e-14)


@pytest.mark.parametrize("padded", [False, True])
def test_paths_agree(padded: bool) -> None:
    q, k, v = inputs()
    bias = attention_bias(VALID, q.dtype) if padded else None
    fused, none = attention(q, k, v, bias)
    written, maps = attention(q, k, v, bias, maps=True)
    assert none is None and maps.shape == (2, 3, 5, 7)
    torch.testing.assert_close(fused, written, rtol=0, atol=1e-13)


@pytest.mark.parametrize("maps", [False, True])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_padding_is_exactly_ignored_and_never_nan(dtype: torch.dtype, maps: bool) -> None:
    q, k, v = (x.requires_grad_() for x in inputs(dtype))
    valid = VALID.clone()
    valid[1] = False
    bias = attention_bias(valid, dtype)
    assert bias.shape == (2, 1, 1, 7) and bias.dtype == dtype and bias.isfinite().all()
    out, _ = attention(q, k, v, bias, maps=maps)
    assert out.dtype == dtype
    cut, _ = attention(q[:1], k[:1, :, :4], v[:1, :, :4], maps=maps)
    bound = 1e-12 if dtype == torch.float64 else 1e-6 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(out[:1], cut, rtol=0, atol=bound)
    out.sum().backward()
    for x in (out, q.grad, k.grad, v.grad):
        assert x.isfinite().all()
    assert not v.grad[0, :, 4:].any()


def test_half_precision_on_the_cpu_is_written_out() -> None:
    """The fused kernel is several times slower there; equal to the last bit means the same path."""
    q, k, v = inputs(torch.bfloat16)
    assert torch.equal(attention(q, k, v)[0], attention(q, k, v, maps=True)[0])
    q, k, v = inputs(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        out, _ = attention(q, k, v)
        assert torch.equal(out, attention(q, k, v, maps=True)[0])
        assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), attention(q, k, v)[0], rtol=0, atol=3e-2)


def test_dropout_leaves_the_maps_whole() -> None:
    q, k, v = inputs()
    torch.manual_seed(0)
    out, maps = attention(q, k, v, dropout=0.5, maps=True)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 3, 5, dtype=torch.float64), rtol=0, atol=1e-14)
    assert not torch.allclose(out, maps @ v)
    for wanted in (False, True):
        draws = torch.stack([attention(q, k, v, dropout=0.5, maps=wanted)[0] for _ in range(8000)])
        assert (draws.std(0) > 0).all()
        torch.testing.assert_close(draws.mean(0), maps @ v, rtol=0, atol=0.1)
