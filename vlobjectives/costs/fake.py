"""Tensors without numbers: a model and a batch that have shapes and types and take no memory."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vlobjectives.contracts.batch import Batch, Tokens
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.data.field_kinds import KINDS
from vlobjectives.functional.attention import attention


def as_fake(module: nn.Module, device: str = "cpu") -> nn.Module:
    """Replaces the parameters and buffers of a module by fake ones on a device, shared ones shared.

    Call it under a FakeTensorMode. The meta device itself does not do: its operators choose other kernels, and some
    of what runs in a step (autocast) does not exist there.
    """
    made: dict[int, Tensor] = {}

    def swapped(old: Tensor) -> Tensor:
        if id(old) not in made:
            new = torch.empty_strided(old.size(), old.stride(), dtype=old.dtype, device=device)
            made[id(old)] = nn.Parameter(new, old.requires_grad) if isinstance(old, nn.Parameter) else new
        return made[id(old)]

    for part in module.modules():
        for table in cast(tuple[dict[str, Tensor | None], ...], (part._parameters, part._buffers)):
            for name, old in table.items():
                if old is not None:
                    table[name] = swapped(old)
    return module


def fake_batch(fields: Mapping[str, Mapping[str, FieldSpec]], rows: int, source: str = "") -> Batch:
    """A batch of striped pictures and texts of full length; `fields`: input or lone field -> what it is made of.

    Under a FakeTensorMode a fake one. Numbers count from 0, and no two samples show the same picture.
    """
    number = torch.arange(rows)
    return Batch(number, number.clone(), {name: _value(specs, rows) for name, specs in fields.items()}, source)


def _value(specs: Mapping[str, FieldSpec], rows: int) -> Any:
    first = next(iter(specs.values()))
    if any(spec.kind == "tokens" for spec in specs.values()):
        tokens = [spec for spec in specs.values() if spec.kind == "tokens"]
        beside = {name: _value({name: spec}, rows) for name, spec in specs.items() if spec.kind != "tokens"}
        return replace(_tokens(tokens, rows), beside=beside)
    return KINDS[first.kind].fake(first, rows)


def _tokens(specs: Sequence[FieldSpec], rows: int) -> Tokens:
    """Begin, the fields in order, each as long as it may be, end."""
    special, line, where = specs[0].special, [specs[0].special["begin"]], [0]
    for place, spec in enumerate(specs):
        low, count = spec.ids or (0, spec.vocabulary)
        word = next(n for n in range(low, low + count) if n not in special.values())
        room = spec.shape[0] - (2 if place == 0 else 0)
        line += [word] * room
        where += [place] * room
    ids = torch.tensor([*line, special["end"]]).expand(rows, -1).clone()
    segment = torch.tensor([*where, len(specs) - 1]).expand(rows, -1).clone()
    position = torch.arange(ids.shape[1])
    ends = (position == 0) | (position == ids.shape[1] - 1)
    ends = ends.expand(rows, -1).clone()
    return Tokens(ids, torch.ones_like(ids, dtype=torch.bool), ends, segment, word=position.where(~ends, 0))


def gathered(x: Tensor, processes: int) -> Tensor:
    """What `all_gather_with_grad` gives on so many processes, in shape, memory, gradient: these rows, so many times."""
    return _Gathered.apply(x, processes)


class _Gathered(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, processes: int) -> Tensor:
        ctx.rows = x.shape[0]
        return torch.cat([torch.empty_like(x) for _ in range(processes)])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.clone().narrow(0, 0, ctx.rows), None


@contextmanager
def as_on_gpu() -> Iterator[None]:
    """Attention on fake CPU tensors as a GPU computes it: fused, so that its N x M weights are never stored.

    A fake tensor on `cuda` needs a driver, and a plan is often made where there is none. The fused CPU operator stores
    what the GPU's store: the output and a number a row. It knows no dropout, which on a GPU costs no memory.
    """
    names = attention.__globals__  # of its module, which the function of the same name hides
    before = names["_slow_fused"], F.scaled_dot_product_attention
    # Put in their place, since timm and transformers call the operator themselves and take no other.
    # No TorchFunctionMode: the backward pass, where parts are recomputed, would run outside of it.
    names["_slow_fused"], F.scaled_dot_product_attention = lambda q: False, _fused
    try:
        yield
    finally:
        names["_slow_fused"], F.scaled_dot_product_attention = before


def _fused(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    if enable_gqa:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype)
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale
    )[0]
