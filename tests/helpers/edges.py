"""Tensors at the edges of what arithmetic takes: zero, equal and opposite rows, masks of nothing, one row."""

from collections.abc import Callable, Iterable

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from vlobjectives import functional as f


class Edge:
    """Draws tensors of edges: each row zero, one direction, its opposite, or any; each mask of none, all, or some."""

    def __init__(self, seed: int, kind: str, mask: str, dtype: torch.dtype):
        self.generator = torch.Generator().manual_seed(seed)
        self.kind, self.mask, self.dtype = kind, mask, dtype
        self.leaves: list[Tensor] = []

    def rows(self, *shape: int, unit: bool = False) -> Tensor:
        x = torch.randn(shape, generator=self.generator, dtype=self.dtype)
        one = torch.randn(shape[-1], generator=self.generator, dtype=self.dtype).expand(shape)
        sign = torch.where(torch.rand((*shape[:-1], 1), generator=self.generator) < 0.5, -1.0, 1.0).to(self.dtype)
        x = (
            {"zero": x * 0, "equal": one, "opposite": one * sign, "any": x, "mixed": torch.where(sign > 0, x * 0, one)}[
                self.kind
            ]
            .clone()
            .requires_grad_()
        )
        self.leaves.append(x)
        return f.l2_normalize(x) if unit else x

    def where(self, *shape: int) -> Tensor:
        x = torch.rand(shape, generator=self.generator)
        return x < {"none": 0.0, "all": 1.1, "some": 0.5}[self.mask]

    def below(self, high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=self.generator)


def over_edges(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test of (edge, n, d) on edges of every kind, with n rows of width d."""
    kinds, masks = ["zero", "equal", "opposite", "any", "mixed"], ["none", "all", "some"]
    made = st.builds(
        Edge,
        st.integers(0, 10**6),
        st.sampled_from(kinds),
        st.sampled_from(masks),
        st.sampled_from([torch.float32, torch.float64]),
    )
    test = given(edge=made, n=st.integers(1, 4), d=st.integers(1, 5))(test)
    for n, d, kind in ((2, 3, "opposite"), (1, 1, "zero")):
        test = example(edge=Edge(0, kind, "none", torch.float32), n=n, d=d)(test)
    return settings(max_examples=25)(test)


def assert_finite(edge: Edge, values: Iterable[Tensor]) -> None:
    """Values are finite, and so are the gradients of all that the edge gave."""
    values = list(values)
    assert values and all(value.isfinite().all() for value in values)
    sum(value.sum() for value in values).backward()
    for leaf in edge.leaves:
        assert leaf.grad is None or leaf.grad.isfinite().all()
