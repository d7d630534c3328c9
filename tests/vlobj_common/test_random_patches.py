"""Random patches and tubes: published counts and order, and the properties of a draw."""

import pytest
import torch
from handmade import batch, golden, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_common.masks.random_patches import RandomPatches, RandomTubes

from vlobjectives import MaskSample, MaskTarget
from vlobjectives.functional import gather_tokens

FILLS = ("drop", "token", "pixels")


def draw(ratio: float, fill: str, site: MaskTarget, given_noise, cls=RandomPatches) -> MaskSample:
    return cls(cls.Config(ratio=ratio, fill=fill)).draw(given_noise, site, batch(len(given_noise.number)))


def site(n: int, frames: int = 1) -> MaskTarget:
    return MaskTarget("image", positions=n * frames, grid=(1, n), frames=frames)


def test_counts_are_the_published_ones():
    z = golden("counts_0")
    checked = 0
    for i, n in enumerate(z["in_num_patches"].tolist()):
        for j, ratio in enumerate(z["in_ratios"].tolist()):
            if not 0 < ratio < 1:
                continue
            dropped, replaced = draw(ratio, "drop", site(n), noise(2)), draw(ratio, "token", site(n), noise(2))
            assert dropped.keep.shape[1] == z["out_kept_after_drop"][i, j]
            assert (dropped.hidden.sum(1) == n - z["out_kept_after_drop"][i, j]).all()
            assert (replaced.hidden.sum(1) == z["out_num_replaced"][i, j]).all()
            checked += 1
    assert checked >= 12


@pytest.mark.parametrize("name", ["vision_image_0", "vision_image_1"])
def test_given_the_published_noise_the_same_patches_are_kept_and_replaced(name):
    """Pass A's kept patches, in their order, are those of the published embedding before the first block."""
    z = golden(name)
    b, n = z["in_noise"].shape
    a = draw(0.8, "drop", site(n), noise(b, orders={"patches of frame 0": z["in_noise"].argsort(dim=1)}))
    embedded = torch.nn.functional.conv2d(z["in_image"], z["w_conv"], stride=2).flatten(2).mT + z["w_pos"][1:]
    assert (gather_tokens(embedded, a.keep) - z["out_embed_dropped"][:, 1:]).abs().max() < 1e-9
    chosen = z["in_replace_indices"]
    rest = torch.stack([torch.tensor([i for i in range(n) if i not in row]) for row in chosen.tolist()])
    order = torch.cat([chosen, rest], dim=1)
    replaced = draw(0.3, "token", site(n), noise(b, orders={"patches of frame 0": order}))
    assert torch.equal(replaced.hidden, z["out_replace_mask"].bool())


@given(
    n=st.integers(2, 40),
    frames=st.integers(1, 3),
    ratio=st.floats(0.01, 0.99),
    fill=st.sampled_from(FILLS),
    seed=st.integers(0, 999),
    tubes=st.booleans(),
)
@settings(max_examples=80)
def test_checks_of_a_draw(n, frames, ratio, fill, seed, tubes):
    cls = RandomTubes if tubes else RandomPatches
    mask, where = cls(cls.Config(ratio=ratio, fill=fill)), site(n, frames)
    d = mask.draw(noise(5, seed), where, batch(5))
    low, high = mask.hides(where)
    assert (d.hidden.sum(1) == low).all() and low == high
    assert d.hidden.shape == (5, n * frames) and d.index.shape == d.index_ok.shape == (5, mask.size(where))
    assert d.index.dtype == torch.int64 and d.ids is None and d.fill == fill and torch.equal(d.scored, d.hidden)
    each = d.hidden.reshape(5, frames, n)
    assert (each.sum(2) == low // frames).all()
    for row in range(5):
        assert d.index[row][d.index_ok[row]].tolist() == d.hidden[row].nonzero().flatten().tolist()
    assert (d.keep is None) == (fill != "drop")
    if fill == "drop":
        visible = [(~d.hidden[row]).nonzero().flatten().tolist() for row in range(5)]
        assert [sorted(row) for row in d.keep.tolist()] == visible
    if tubes:
        assert (each == each[:, :1]).all()
    # the same numbers, the same draw, whoever sits beside: rows go with their sample
    again = mask.draw(noise(3, seed, first=2), where, batch(3))
    assert torch.equal(again.hidden, d.hidden[2:])


def test_other_samples_steps_and_frames_draw_otherwise_but_uniformly():
    d = draw(0.5, "token", site(12, frames=2), noise(4000)).hidden
    assert (d.double().mean(0) - 0.5).abs().max() < 0.035  # four and a half standard errors
    assert len({tuple(row.tolist()) for row in d}) > 3900
    assert not torch.equal(d[:, :12], d[:, 12:])
    assert not torch.equal(d[:50], draw(0.5, "token", site(12, frames=2), noise(50, when=1)).hidden)


def test_two_fills_of_one_stream_share_their_draw():
    where = site(20)
    dropped, replaced = draw(0.5, "drop", where, noise(6)), draw(0.5, "pixels", where, noise(6))
    assert not (dropped.hidden & replaced.hidden).any() and (dropped.hidden | replaced.hidden).all()


def test_nothing_to_hide_is_said_and_not_scored():
    mask = RandomPatches(RandomPatches.Config(ratio=0.1, fill="token"))
    d = mask.draw(noise(2), site(4), batch(2))
    assert mask.hides(site(4)) == (0, 0) and mask.size(site(4)) == 1
    assert not d.hidden.any() and not d.index_ok.any() and d.index.shape == (2, 1)
