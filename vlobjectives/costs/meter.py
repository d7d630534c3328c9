"""What a piece of work costs: floating-point operations and storages, booked on whoever is at work."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vlobjectives.costs import attention_flops
from vlobjectives.costs.memory import Storages

# Makers of storages that are no pass and no objective
WEIGHTS, CASTS, GRADIENTS, OPTIMISER, BACKWARD = "weights", "weights cast", "gradients", "optimiser", "backward"
BATCH = "batch"
BALANCE = "balance"
CAST = torch.ops.aten._to_copy.default
DEVICE = torch.ops.prim.device.default  # asked more often than all else together, above all by the backward pass

# Operators of torch that multiply matrices or might, by a part of their name. One of them that has no
# formula is listed; sums, norms, softmax and look-ups are left out of every count by convention.
PRODUCTS = (
    "mm",
    "mv",
    "dot",
    "ger",
    "outer",
    "addr",
    "conv",
    "attention",
    "linear",
    "einsum",
    "lstm",
    "gru",
    "rnn",
    "fft",
    "cdist",
    "solve",
    "svd",
    "eig",
    "qr",
    "cholesky",
    "inv",
    "lu_factor",
    "matrix_exp",
    "det",
)
HARMLESS = ("convert", "_to_copy", "linspace", "upsample", "inverse_indices", "round", "truncate", "clamp")


class Meter(TorchDispatchMode):
    """Counts while it is entered; `work(name)` says who is at work.

    flops     name -> floating-point operations of matrix products and convolutions, a multiply-add counted as two
    memory    storages by name
    unknown   operators that the counter has no formula for and that may be products -> how often they ran
    at_work   who is at work now, or was when something failed
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops: Counter[str] = Counter()
        self.memory = Storages()
        self.unknown: Counter[str] = Counter()
        self.at_work = ""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here; torch's guard against it, entered at every operator, takes a tenth of a step."""
        return False

    @contextmanager
    def work(self, name: str) -> Iterator[None]:
        """Books what runs inside on `name`. After an exception `at_work` stays, so that it can be told who failed."""
        before, self.at_work = self.at_work, name
        yield
        self.at_work = before

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func is DEVICE and isinstance(args[0], FakeTensor):
            return args[0].fake_device
        out = func(*args, **(kwargs or {}))
        formula = attention_flops.of(func._overloadpacket)
        if formula is not None:
            self.flops[self.at_work] += formula(*args, **(kwargs or {}), out_val=out)
        elif _may_multiply(func):
            self.unknown[str(func)] += 1
        maker = self.at_work
        if func is CAST and self.memory.maker(args[0]) == WEIGHTS:
            maker = CASTS  # autocast keeps them for all passes, whichever was first
        for leaf in (out,) if isinstance(out, Tensor) else tree_leaves(out):
            if isinstance(leaf, Tensor):
                self.memory.see(leaf, maker)
        return out


@cache
def _may_multiply(func: Any) -> bool:
    space, _, name = func._schema.name.partition("::")
    if space not in ("aten", "prim", "prims"):
        return True
    words = name.strip("_").split("_")
    return any(word in words or (len(word) > 3 and word in name) for word in PRODUCTS) and not any(
        part in name for part in HARMLESS
    )
