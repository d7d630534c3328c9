"""Tiles of patches: numbers worked by hand, and what an order by tiles is."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vlobjectives.functional import argsort_by_tile, round_half_up, tile_indices, tile_means

SCORE = torch.tensor([[1.0, 3, 0, 0, 5], [2, 2, 0, 4, 5], [9, 0, 1, 1, 6]], dtype=torch.float64)
"""3 x 5 patches; tiles of 2 are 2 x 3, those of the last column and the last row cut."""


def test_by_hand():
    assert tile_indices((3, 5), 2).tolist() == [0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 3, 3, 4, 4, 5]
    assert tile_means(SCORE.flatten(), (3, 5), 2).tolist() == [2, 1, 5, 4.5, 1, 6]
    # tile 5, then 2 and 3, then 0; of 1 and 4, which are equal, 1 first
    assert argsort_by_tile(SCORE.flatten(), (3, 5), 2).tolist() == [14, 4, 9, 10, 11, 0, 1, 5, 6, 2, 3, 7, 8, 12, 13]
    assert argsort_by_tile(SCORE.flatten(), (3, 5), 1).tolist() == [10, 14, 4, 9, 8, 1, 5, 6, 0, 12, 13, 2, 3, 7, 11]


def test_halves_go_up():
    assert [round_half_up(x) for x in (0, 0.49, 0.5, 1.5, 2.5, 50 * 0.29)] == [0, 0, 1, 2, 3, 15]
    assert 50 * 0.29 < 14.5


@given(
    rows=st.integers(1, 7),
    columns=st.integers(1, 7),
    tile=st.integers(1, 4),
    seed=st.integers(0, 99),
    levels=st.integers(1, 50),
)
@settings(max_examples=60)
def test_laws_of_an_order(rows, columns, tile, seed, levels):
    score = torch.randint(levels, (2, 3, rows * columns), generator=torch.Generator().manual_seed(seed)).double()
    order, number = argsort_by_tile(score, (rows, columns), tile), tile_indices((rows, columns), tile)
    assert torch.equal(order.sort(dim=-1)[0], torch.arange(rows * columns).expand_as(order))
    means = torch.stack([score[..., number == t].mean(-1) for t in range(int(number.max()) + 1)], -1)
    assert torch.allclose(tile_means(score, (rows, columns), tile), means, rtol=0, atol=1e-12)
    tiles = number[order]
    there = tile_means(score, (rows, columns), tile).gather(-1, tiles.flatten(2))
    assert (there.diff(dim=-1) <= 0).all()
    assert (tiles.diff(dim=-1) != 0).sum(-1).eq(number.max()).all(), "a tile's patches stand together"
    equal = there.diff(dim=-1) == 0
    key = tiles * rows * columns + order
    assert (key.diff(dim=-1)[equal] > 0).all(), "of equals the lower number first"
