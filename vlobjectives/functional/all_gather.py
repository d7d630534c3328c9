"""The rows of all processes, with a gradient.

The one place among the losses that knows of processes: objectives call no collective.
"""

from typing import Any, Literal

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable


def all_gather_with_grad(
    x: Tensor,
    gradient: Literal["exact", "published"] = "exact",
    group: distributed.ProcessGroup | None = None,
) -> Tensor:
    """Return the rows of all processes one after the other, in rank order.

    It is for a loss outside of this library's training. An objective is given a `gather` by the host: this function
    with the recipe's gradient where the objective looks at all rows, and one that hands back `x` where it looks at its
    own rows alone.

    All processes must call it in the same order with as many rows of the same type, and run backward alike: a process
    that leaves the term out stops the others.

    Args:
        x: [B, ...], a tensor of any type.
        gradient: `exact`: the gradients that arrive on all processes are summed, and each process takes its own rows'
            part. The sum over processes of (total / global count) then has the gradients of one process on the joined
            batch. `published`: each process takes its own rows of its *own* gradient, and nothing is summed. After
            averaging over W processes a gathered term then weighs 1/W of a local one (GLSCL's code, arXiv 2306.07096,
            and others).
        group: A process group of torch.distributed; None for all processes.

    Returns:
        [W*B, ...], without gradient where `x` needs none. Without an initialised process group, or in one of one
        process, it is `x` itself.

    Raises:
        ValueError: `gradient` is another word.
    """
    if gradient not in ("exact", "published"):
        raise ValueError(f"gradient is exact or published, not {gradient!r}")
    if not (distributed.is_available() and distributed.is_initialized()):
        return x
    if distributed.get_world_size(group) == 1:
        return x
    rows: Tensor = _Gather.apply(x, gradient == "exact", group)
    return rows


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, exact: bool, group: distributed.ProcessGroup | None) -> Tensor:
        ctx.exact, ctx.group, ctx.rows = exact, group, x.shape[0]
        # Bytes, since not every backend knows bool.
        sent = x.contiguous().view(torch.uint8) if x.dtype == torch.bool else x.contiguous()
        parts = [torch.empty_like(sent) for _ in range(distributed.get_world_size(group))]
        distributed.all_gather(parts, sent, group=group)
        return torch.cat(parts).view(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        if ctx.exact:
            # A copy: what arrives may be shared with other consumers of the same gradient.
            grad = grad.clone(memory_format=torch.contiguous_format)
            distributed.all_reduce(grad, group=ctx.group)
        return grad.narrow(0, distributed.get_rank(ctx.group) * ctx.rows, ctx.rows), None, None
