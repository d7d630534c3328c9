"""At the edges of what they take (rows that are zero, equal or opposite, masks of nothing, one row, all padding) the
functions give finite numbers, and finite gradients to all that they are given."""

from collections.abc import Callable, Iterator

import pytest
import torch
from edges import Edge, assert_finite, over_edges
from torch import Tensor

from vlobjectives import functional as f

NO_GRADIENT = {
    "random_bits": "whole numbers",
    "argsort_by_tile": "positions",
    "matched_half": "which rows",
    "round_half_up": "a number",
    "mask_to_indices": "positions",
    "keep_indices": "positions",
    "num_kept": "a number",
    "prng_key": "a number",
    "indices_to_mask": "which positions",
    "permutation": "positions",
    "mine_negatives": "rows",
    "num_replaced": "a number",
    "positive_pairs": "which rows",
    "statistics": "a module of plain floats",
    "num_text_draws": "numbers",
    "tile_indices": "numbers",
    "random_uniform": "no input with a gradient",
    "sample_with_replacement": "positions",
    "holm_bonferroni": "plain floats",
    "mean_interval": "plain floats",
    "paired_interval": "plain floats",
    "paired_t_test": "plain floats",
    "wilson_interval": "plain floats",
}


def of_attention(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    for maps in (False, True):
        q, k, v = (e.rows(2, 2, m, d) for m in (n, n + 1, n + 1))
        out, weights = f.attention(q, k, v, f.attention_bias(e.where(2, n + 1), e.dtype), maps=maps)
        yield out
        if weights is not None:
            yield weights


def of_sym_nce(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    tau = torch.tensor(0.03, dtype=e.dtype, requires_grad=True)
    e.leaves.append(tau)
    for valid in (None, e.where(n)):
        for positives in (None, e.where(n, n)):
            yield f.symmetric_info_nce(e.rows(n, d, unit=True), e.rows(n, d, unit=True), tau, valid, positives)


def of_pictures(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    pictures = e.rows(n, d, 4, 4)
    for side in (1, 2):
        patches = f.patchify(pictures, side)
        yield patches
        yield f.normalize_patches(patches)
        yield f.unpatchify(patches, side, 4, 4)
        yield f.fill_patches(pictures, e.where(n, 16 // side**2), side)


CASES: dict[str, Callable[[Edge, int, int], Iterator[Tensor]]] = {
    "attention": of_attention,
    "attention_bias": of_attention,
    "symmetric_info_nce": of_sym_nce,
    "l2_normalize": lambda e, n, d: [f.l2_normalize(e.rows(n, d)), f.l2_normalize(e.rows(n, d), 0)],
    "normalize_patches": of_pictures,
    "patchify": of_pictures,
    "unpatchify": of_pictures,
    "fill_patches": of_pictures,
    "tile_means": lambda e, n, d: [f.tile_means(e.rows(n, 6), (2, 3), 2)],
    "gather_tokens": lambda e, n, d: [f.gather_tokens(e.rows(2, n, d), e.below(n, 2, 3))],
    "all_gather_with_grad": lambda e, n, d: [f.all_gather_with_grad(e.rows(n, d))],
}


def test_every_function_is_here_or_has_no_gradient():
    assert set(CASES) | set(NO_GRADIENT) == set(f.__all__)


@pytest.mark.parametrize("name", CASES)
@over_edges
def test_values_and_gradients_are_finite(name: str, edge: Edge, n: int, d: int) -> None:
    assert_finite(edge, CASES[name](edge, n, d))
