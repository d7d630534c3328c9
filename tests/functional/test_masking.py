"""Counts, positions and masks, against plain loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlobjectives import functional as f

few = settings(max_examples=50)
masks = st.integers(1, 8).flatmap(
    lambda n: st.lists(st.lists(st.booleans(), min_size=n, max_size=n), min_size=1, max_size=4)
)


def test_counts_known_by_name() -> None:
    assert [f.num_kept(n, 0.8) for n in (324, 196, 100)] == [64, 39, 19]
    assert f.num_replaced(324, 0.3) == 97
    assert [f.num_text_draws(length, 0.4) for length in (0, 2, 3, 4, 12)] == [0, 0, 1, 1, 5]
    assert f.num_text_draws(12, 0.0) == 1


@given(st.integers(0, 600), st.integers(0, 100))
@few
def test_draws_of_a_tensor_are_those_of_ints(length: int, percent: int) -> None:
    """In single precision (l - 2) r would cross a whole number now and then."""
    lengths = torch.arange(length, length + 50)
    ratio = percent / 100
    assert f.num_text_draws(lengths, ratio).tolist() == [f.num_text_draws(each, ratio) for each in lengths.tolist()]


@given(masks, st.integers(0, 10))
@few
def test_indices(rows: list[list[bool]], size: int) -> None:
    mask = torch.tensor(rows)
    index, ok = f.mask_to_indices(mask, size)
    assert index.shape == ok.shape == (len(rows), size)
    assert index.dtype == torch.int64 and ok.dtype == torch.bool
    for number, row in enumerate(rows):
        expected = [place for place, true in enumerate(row) if true][:size]
        assert index[number].tolist() == expected + [0] * (size - len(expected))
        assert ok[number].tolist() == [True] * len(expected) + [False] * (size - len(expected))


@given(masks)
@few
def test_mark_undoes_indices(rows: list[list[bool]]) -> None:
    mask = torch.tensor(rows)
    index, ok = f.mask_to_indices(mask, mask.shape[1] + 2)
    assert torch.equal(f.indices_to_mask(index, mask.shape[1], ok), mask)


def test_mark_is_not_unmarked_by_surplus() -> None:
    index = torch.tensor([[0, 2, 0], [0, 0, 0]])
    ok = torch.tensor([[True, True, False], [False, False, False]])
    assert f.indices_to_mask(index, 3, ok).tolist() == [[True, False, True], [False, False, False]]
    assert f.indices_to_mask(index, 3).tolist() == [[True, False, True], [True, False, False]]


def test_take() -> None:
    tokens = torch.arange(24.0).reshape(2, 4, 3).requires_grad_()
    index = torch.tensor([[3, 0], [1, 1]])
    taken = f.gather_tokens(tokens, index)
    assert torch.equal(taken, torch.stack([tokens[0, [3, 0]], tokens[1, [1, 1]]]))
    taken.sum().backward()
    assert tokens.grad[..., 0].tolist() == [[1, 0, 0, 1], [0, 2, 0, 0]]
    assert f.gather_tokens(torch.arange(8).reshape(2, 4), index).tolist() == [[3, 0], [5, 5]]


def test_keep_order_is_ascending() -> None:
    noise = torch.tensor([[0.3, 0.1, 0.9, 0.2], [0.5, 0.5, 0.0, 0.5]])
    assert f.keep_indices(noise, 3).tolist() == [[1, 3, 0], [2, 0, 1]]


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(2, 60))
@few
def test_with_replacement_stays_in_range(seed: int, size: int, length: int) -> None:
    uniform = torch.rand(50, size, generator=torch.Generator().manual_seed(seed))
    uniform[0] = 1 - 2**-24
    draws = torch.arange(50) % (size + 1)
    index, ok = f.sample_with_replacement(uniform, draws, 1, torch.full((50,), length - 1))
    if length == 2:
        assert not ok.any() and not index.any()
        return
    assert torch.equal(ok.sum(1), draws)
    assert ((index >= 1) & (index < length - 1))[ok].all()
    assert not index[~ok].any()


def test_with_replacement_is_uniform_and_repeats() -> None:
    uniform = f.random_uniform(f.prng_key(0), torch.arange(20_000), 3)
    index, ok = f.sample_with_replacement(uniform, torch.full((20_000,), 3), 1, 6)
    assert ok.all()
    counts = index.flatten().bincount(minlength=6)
    assert counts[0] == 0
    assert ((counts[1:] - 12_000).abs() < 4.5 * (60_000 * 0.2 * 0.8) ** 0.5).all()
    # spec: the share of distinct positions expected of d draws from n is 1 - (1 - 1/n)^d
    assert f.indices_to_mask(index, 6).double().sum(1).mean() / 5 == pytest.approx(1 - 0.8**3, abs=5e-3)


def test_published_draw_of_words() -> None:
    """Ten words at 0.4: five draws, 41 % of the words; begin, end and padding never."""
    length = torch.full((20_000,), 12)
    uniform = f.random_uniform(f.prng_key(1), torch.arange(20_000), f.num_text_draws(50, 0.4))
    index, ok = f.sample_with_replacement(uniform, f.num_text_draws(length, 0.4), 1, length - 1)
    mask = f.indices_to_mask(index, 50, ok)
    assert not mask[:, 0].any() and not mask[:, 11:].any()
    assert mask.sum(1).double().mean() / 10 == pytest.approx(0.41, abs=5e-3)
