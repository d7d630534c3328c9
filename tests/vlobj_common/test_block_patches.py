"""Blocks of patches: counts, rectangles, and the properties of a draw."""

import pytest
import torch
from handmade import batch, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_common.masks.block_patches import BLOCKS, BlockPatches
from vlobj_common.masks.random_patches import RandomPatches

from vlobjectives import CannotBuild, MaskSample, MaskTarget
from vlobjectives.functional import num_kept, num_replaced


def site(rows: int, columns: int, frames: int = 1) -> MaskTarget:
    return MaskTarget("image", rows * columns * frames, grid=(rows, columns), frames=frames)


def draw(where: MaskTarget, of: int = 5, seed: int = 0, **config) -> MaskSample:
    mask = BlockPatches(BlockPatches.Config(**{"ratio": 0.4, "fill": "token"} | config))
    return mask.draw(noise(of, seed), where, batch(of))


@given(
    rows=st.integers(1, 9),
    columns=st.integers(2, 9),
    frames=st.integers(1, 3),
    ratio=st.floats(0.05, 0.95),
    fill=st.sampled_from(["drop", "token", "pixels"]),
    least=st.integers(1, 20),
    seed=st.integers(0, 999),
)
@settings(max_examples=80)
def test_checks_of_a_draw(rows, columns, frames, ratio, fill, least, seed):
    where, n = site(rows, columns, frames), rows * columns
    d = draw(where, 5, seed, ratio=ratio, fill=fill, least=least)
    count = n - num_kept(n, ratio) if fill == "drop" else num_replaced(n, ratio)
    by_frame = d.hidden.view(5, frames, n)
    assert (by_frame.sum(2) == count).all()
    assert (d.keep is None) == (fill != "drop") and torch.equal(d.scored, d.hidden)
    if d.keep is not None:
        assert d.keep.shape == (5, frames * (n - count))
        assert torch.equal(torch.zeros(5, n * frames).scatter(1, d.keep, 1).bool(), ~d.hidden)
    again = BlockPatches(BlockPatches.Config(ratio=ratio, fill=fill, least=least)).draw(
        noise(3, seed, first=2), where, batch(3)
    )
    assert torch.equal(again.hidden, d.hidden[2:])
    plain = RandomPatches(RandomPatches.Config(ratio=ratio, fill=fill))
    assert plain.size(where) == d.index.shape[1]


def test_a_mask_that_one_block_meets_is_a_rectangle():
    """Blocks of the whole share: the first one meets it, but for rounding; it is cut at its lower edge."""
    d = draw(site(14, 14), 400, least=196, aspect=1.0)  # 78 patches: 9 x 9 less three of the last row
    for hidden in d.hidden.view(400, 14, 14):
        rows, columns = hidden.any(1).nonzero().flatten(), hidden.any(0).nonzero().flatten()
        assert len(rows) == len(columns) == 9 and hidden.sum() == 78
        box = hidden[rows[0] : rows[0] + 9, columns[0] : columns[0] + 9]
        assert box[:8].all() and box[8].tolist() == [True] * 6 + [False] * 3
    corner = d.hidden.view(400, 14, 14)[:, 0, 0].double().mean()
    assert corner == pytest.approx(1 / 36, abs=0.03)  # one of 6 x 6 places


def test_flat_and_upright_blocks_are_as_frequent():
    d = draw(site(20, 20), 600, ratio=0.1, least=400).hidden.view(600, 20, 20)
    height, width = d.any(2).sum(1), d.any(1).sum(1)
    upright, flat = ((a > b).double().mean().item() for a, b in ((height, width), (width, height)))
    assert upright == pytest.approx(flat, abs=0.12)
    assert height.max() >= 10 and height.min() <= 4


def test_blocks_hang_together_more_than_single_patches():
    def neighbours(hidden: torch.Tensor) -> float:
        grid = hidden.view(-1, 14, 14)
        return (grid[:, 1:] & grid[:, :-1]).double().mean().item()

    single = RandomPatches(RandomPatches.Config(ratio=0.4, fill="token")).draw(noise(200), site(14, 14), batch(200))
    assert neighbours(draw(site(14, 14), 200).hidden) > 1.6 * neighbours(single.hidden)


def test_a_share_that_the_blocks_do_not_meet_is_met():
    """Blocks of one patch: sixteen of them cannot cover 95 of 100."""
    d = draw(site(10, 10), 50, ratio=0.95, least=1, aspect=1.0)
    assert (d.hidden.sum(1) == 95).all() and BLOCKS == 16


def test_positions_without_a_grid_are_refused():
    mask = BlockPatches(BlockPatches.Config(ratio=0.4, fill="token"))
    with pytest.raises(CannotBuild, match="lie on no grid"):
        mask.size(MaskTarget("image", 49))
