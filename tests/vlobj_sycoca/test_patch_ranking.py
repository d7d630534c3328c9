"""Scores of patches by a caption, and which are hidden (spec/sycoca.md 3 and 7, properties by their numbers there)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from arrays import close, load
from edges import Edge, assert_finite, over_edges
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_sycoca.patch_ranking import best_count, ranked, word_scores, worst_count

from vlobjectives.functional import indices_to_mask, tile_indices, tile_means

COCA = Path(__file__).parents[1] / "golden" / "coca"
SIZES = st.integers(2, 300)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def hidden(score: torch.Tensor, ratio: float, most: bool) -> torch.Tensor:
    n = score.shape[1]
    order = ranked(score)
    return indices_to_mask(order[:, : best_count(n, ratio)] if most else order[:, n - worst_count(n, ratio) :], n)


@pytest.mark.parametrize("name", ["score", "score_all_valid"])
def test_golden_scores(name):
    z = load(COCA / f"{name}.npz")
    given = z["in_patches"], z["in_text_tokens"], z["in_text_valid"]
    close(word_scores(*given), z["out_score_max"])
    close(word_scores(*given, mean=True), z["out_score_mean"])
    whole = z["in_text_cls"][:, None]
    close(word_scores(z["in_patches"], whole, torch.ones(len(whole), 1, dtype=torch.bool)), z["out_score_class"])


@pytest.mark.parametrize("name", ["mask_half", "mask_odd_quarter", "mask_ties"])
def test_golden_masks(name):
    z = load(COCA / f"{name}.npz")
    score, n = z["in_score"], z["in_score"].shape[1]
    low, high = float(z["in_ratio_low"]), float(z["in_ratio_high"])
    assert (worst_count(n, low), best_count(n, high)) == (int(z["out_count_ic"]), int(z["out_count_tgmim"]))
    order = ranked(score)
    assert torch.equal(order, z["out_rank"])
    grid, side = tuple(z["in_grid"].tolist()), int(z["in_block"])
    block = tile_means(score, grid, side)[:, tile_indices(grid, side)]
    close(block, z["out_block_score"])
    for variant, values in (("", score), ("_random", z["in_noise"]), ("_block", block)):
        assert torch.equal(hidden(values, low, most=False), z[f"out_hidden_ic{variant}"])
        assert torch.equal(hidden(values, high, most=True), z[f"out_hidden_tgmim{variant}"])
    assert torch.equal(indices_to_mask(order[:, n - best_count(n, high) :], n), z["out_hidden_tgmim_farthest"])
    assert torch.equal(indices_to_mask(order[:, : worst_count(n, low)], n), z["out_hidden_ic_farthest"])


@given(SIZES, st.floats(0.001, 0.999))
def test_property_1_counts_of_ratios_that_add_up_to_one_make_up_the_picture(n, ratio):
    assert best_count(n, 1 - ratio) + worst_count(n, ratio) == n
    assert 1 <= best_count(n, ratio) < n and 1 <= worst_count(n, ratio) < n


@settings(max_examples=30)
@given(st.integers(2, 40), st.floats(0.05, 0.95), st.integers(0, 1000), st.integers(1, 5))
def test_properties_1_to_3_complements_counts_and_order(n, ratio, seed, values):
    """With many equal scores too."""
    score = (drawn(3, n, seed=seed) * values).round()
    most, least = hidden(score, ratio, True), hidden(score, 1 - ratio, False)
    assert torch.equal(most, ~least)
    assert (most.sum(1) == best_count(n, ratio)).all()
    lowest_hidden = score.where(most, 9e9).amin(1)
    assert (lowest_hidden >= score.where(~most, -9e9).amax(1)).all()


def test_property_4_of_equal_scores_the_lower_number_comes_first():
    score = torch.zeros(1, 7)
    assert hidden(score, 0.5, True)[0].tolist() == [True] * 4 + [False] * 3
    assert hidden(score, 0.5, False)[0].tolist() == [False] * 4 + [True] * 3
    before = torch.tensor([[3, 6, 0, 1, 2, 5, 4]])
    assert torch.equal(ranked(score, before), before)


def test_ties_alone_are_broken_by_a_given_order():
    score = torch.tensor([[1.0, 3.0, 1.0, 2.0]])
    assert ranked(score, torch.tensor([[2, 3, 0, 1]])).tolist() == [[1, 3, 2, 0]]


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_property_5_scores_hang_on_directions_and_on_the_set_of_words(seed):
    u, w, valid = drawn(2, 6, 4, seed=seed), drawn(2, 5, 4, seed=seed + 1), torch.ones(2, 5, dtype=torch.bool)
    valid[0, 3:] = False
    score = word_scores(u, w, valid)
    assert (word_scores(u * 3, w * 0.1, valid) - score).abs().max() < 1e-12
    assert torch.equal(word_scores(u, w.masked_fill(~valid[..., None], float("nan")), valid), score)
    order = torch.tensor([4, 2, 0, 1, 3])
    assert (word_scores(u, w[:, order], valid[:, order]) - score).abs().max() < 1e-12
    assert (score + 1e-12 >= word_scores(u, w, valid, mean=True)).all()
    fewer = valid & (torch.arange(5) != 1)
    assert (score >= word_scores(u, w, fewer)).all()


def test_no_word_scores_all_patches_zero():
    for mean in (False, True):
        assert (word_scores(drawn(2, 6, 4), drawn(2, 5, 4), torch.zeros(2, 5, dtype=torch.bool), mean) == 0).all()


def test_property_6_patches_permuted_permute_scores_and_masks():
    u, w, valid = drawn(2, 6, 4), drawn(2, 5, 4, seed=1), torch.ones(2, 5, dtype=torch.bool)
    order = torch.tensor([5, 1, 3, 0, 2, 4])
    one, two = word_scores(u, w, valid), word_scores(u[:, order], w, valid)
    assert torch.equal(one[:, order], two)
    assert torch.equal(hidden(one, 0.5, True)[:, order], hidden(two, 0.5, True))


def of_words(e: Edge, n: int, d: int) -> Iterator[torch.Tensor]:
    for mean in (False, True):
        yield word_scores(e.rows(2, n, d), e.rows(2, n, d), e.where(2, n), mean)


@over_edges
def test_values_and_gradients_are_finite(edge: Edge, n: int, d: int) -> None:
    assert_finite(edge, of_words(edge, n, d))
