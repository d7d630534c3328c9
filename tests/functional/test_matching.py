"""Which rows stay matched, and with whom the others are paired."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlobjectives.functional import matched_half, mine_negatives, positive_pairs, prng_key, random_uniform

few = settings(max_examples=50)


@given(st.integers(1, 9), st.integers(1, 4), st.integers(0, 10**6), st.booleans())
@few
def test_half_of_each_group(group: int, groups: int, seed: int, ties: bool) -> None:
    uniform = torch.rand(group * groups, generator=torch.Generator().manual_seed(seed))
    if ties:
        uniform = (uniform * 2).floor() / 2
    matched = matched_half(uniform, group)
    assert matched.dtype == torch.bool
    assert (matched.reshape(groups, group).sum(1) == group // 2).all()


def test_half_of_one_row_is_none_and_none_means_all() -> None:
    assert matched_half(torch.rand(1)).tolist() == [False]
    assert matched_half(torch.rand(7)).sum() == 3


def test_every_row_is_matched_as_often() -> None:
    drawn = random_uniform(prng_key(0), torch.arange(6 * 4000)).reshape(4000, 6)
    share = torch.stack([matched_half(each) for each in drawn]).double().mean(0)
    assert ((share - 0.5).abs() < 4.5 * 0.5 / 4000**0.5).all()


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
@few
def test_partners(group: int, groups: int, pictures: int, seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    batch = group * groups
    scores = torch.randn(batch, group, generator=g)
    same = torch.randint(pictures, (batch,), generator=g)
    index, valid = mine_negatives(scores, same, group)
    for row in range(batch):
        first = row // group * group
        others = [c for c in range(group) if same[first + c] != same[row]]
        assert valid[row] == bool(others)
        expected = first + max(others, key=lambda c: scores[row, c].item()) if others else row
        assert index[row] == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=8), st.integers(1, 8))
@few
def test_right_pairs_are_those_that_some_row_shows(rows: list[tuple[int, int]], own: int) -> None:
    same, ids = torch.tensor([row[0] for row in rows]), torch.tensor([[row[1], 9] for row in rows])
    shown = {(caption, picture) for picture, caption in rows}
    expected = [[(caption, picture) in shown for picture, _ in rows] for _, caption in rows]
    assert positive_pairs(same, ids).tolist() == expected
    assert positive_pairs(same[:own], ids[:own], (same, ids)).tolist() == expected[:own]
    assert positive_pairs(same).tolist() == [[a == b for b, _ in rows] for a, _ in rows]


def test_one_picture_in_the_batch_has_no_partner() -> None:
    index, valid = mine_negatives(torch.rand(3, 3), torch.zeros(3, dtype=torch.int64))
    assert index.tolist() == [0, 1, 2] and not valid.any()


@pytest.mark.parametrize("group", [0, 3, 5])
def test_groups_that_do_not_fit(group: int) -> None:
    with pytest.raises(ValueError, match=f"4 rows are no multiple of a group of {group}"):
        matched_half(torch.rand(4), group)
    with pytest.raises(ValueError, match="no multiple"):
        mine_negatives(torch.rand(4, 2), torch.arange(4), group)
