"""At the edges of what they take (rows that are zero, equal or opposite, masks of nothing, one row, all padding) the
functions give finite numbers, and finite gradients to all that they are given."""

from collections.abc import Callable, Iterator

import pytest
import torch
from edges import Edge, assert_finite, over_edges
from torch import Tensor

from vlobjectives import functional as f

NO_GRADIENT = {
    "bits": "whole numbers",
    "by_tiles": "positions",
    "half": "which rows",
    "half_up": "a number",
    "indices": "positions",
    "keep_order": "positions",
    "kept": "a number",
    "key": "a number",
    "mark": "which positions",
    "order": "positions",
    "partners": "rows",
    "replaced": "a number",
    "right_pairs": "which rows",
    "statistics": "a module of plain floats",
    "text_draws": "numbers",
    "tile_numbers": "numbers",
    "uniforms": "no input with a gradient",
    "with_replacement": "positions",
    "holm": "plain floats",
    "mean_interval": "plain floats",
    "paired_interval": "plain floats",
    "paired_probability": "plain floats",
    "wilson": "plain floats",
}


def of_attention(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    for maps in (False, True):
        q, k, v = (e.rows(2, 2, m, d) for m in (n, n + 1, n + 1))
        out, weights = f.attention(q, k, v, f.bias_of(e.where(2, n + 1), e.dtype), maps=maps)
        yield out
        if weights is not None:
            yield weights


def of_sym_nce(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    tau = torch.tensor(0.03, dtype=e.dtype, requires_grad=True)
    e.leaves.append(tau)
    for valid in (None, e.where(n)):
        for positives in (None, e.where(n, n)):
            yield f.sym_nce(e.rows(n, d, unit=True), e.rows(n, d, unit=True), tau, valid, positives)


def of_pictures(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    pictures = e.rows(n, d, 4, 4)
    for side in (1, 2):
        patches = f.patchify(pictures, side)
        yield patches
        yield f.normalised(patches)
        yield f.unpatchify(patches, side, 4, 4)
        yield f.fill(pictures, e.where(n, 16 // side**2), side)


CASES: dict[str, Callable[[Edge, int, int], Iterator[Tensor]]] = {
    "attention": of_attention,
    "bias_of": of_attention,
    "sym_nce": of_sym_nce,
    "unit": lambda e, n, d: [f.unit(e.rows(n, d)), f.unit(e.rows(n, d), 0)],
    "normalised": of_pictures,
    "patchify": of_pictures,
    "unpatchify": of_pictures,
    "fill": of_pictures,
    "tile_means": lambda e, n, d: [f.tile_means(e.rows(n, 6), (2, 3), 2)],
    "take": lambda e, n, d: [f.take(e.rows(2, n, d), e.below(n, 2, 3))],
    "gather": lambda e, n, d: [f.gather(e.rows(n, d))],
}


def test_every_function_is_here_or_has_no_gradient():
    assert set(CASES) | set(NO_GRADIENT) == set(f.__all__)


@pytest.mark.parametrize("name", CASES)
@over_edges
def test_values_and_gradients_are_finite(name: str, edge: Edge, n: int, d: int) -> None:
    assert_finite(edge, CASES[name](edge, n, d))
