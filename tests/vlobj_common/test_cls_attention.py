"""A-CLIP's masks: choices worked by hand, published counts, the checks of a draw, and where the maps come from."""

from dataclasses import replace

import pytest
import torch
from handmade import batch, encoded, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from vlobj_common.masks.cls_attention import ClsAttention

from vlobjectives import MaskTarget
from vlobjectives.testing import Toy, mask_checks
from vlobjectives.testing.mask_checks import drawn

TIMM = {"type": "timm_vision", "patch": 4, "width": 16, "depth": 3, "heads": 2}
CONTENT = {"new_each_step": "the picture alone decides"}


def mask(**options) -> ClsAttention:
    return ClsAttention(ClsAttention.Config(**options))


def site(rows: int, columns: int, frames: int = 1) -> MaskTarget:
    return MaskTarget("image", positions=rows * columns * frames, grid=(rows, columns), frames=frames)


def seen(looks: torch.Tensor, layers: int = 2, heads: int = 2):
    """An encoder's output of frames [B,F,n] whose class tokens look so on average, in different layers and heads."""
    b, frames, n = looks.shape
    size = frames * (n + 1)
    apart = torch.randint(9, (layers, b, heads // 2, size, size), generator=torch.Generator().manual_seed(0)) / 64
    maps = torch.cat([apart, -apart], 2).to(looks.dtype)  # exact numbers whose mean over heads is 0
    for frame in range(frames):
        maps[:, :, :, frame, frames + frame * n : frames + (frame + 1) * n] += looks[None, :, None, frame]
    out = encoded(torch.zeros(b, frames * n, 1), torch.zeros(b, frames, 1))
    return replace(out, maps={f"block{i}": layer for i, layer in enumerate(maps)})


LOOKS = torch.tensor([[8, 0, 0, 16], [8, 0, 0, 0], [0, 24, 0, 0], [0, 0, 0, 8]]).double().reshape(1, 1, 16) / 64
"""Tiles of 2 sum up to 16, 16, 24, 8 of 64; tiles of 3 are 9, 3, 3 and 1 patches of mean 40/9, 16/3, 0, 8."""
UPPER_LEFT, UPPER_RIGHT, LOWER_LEFT, LOWER_RIGHT = [0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]


@pytest.mark.parametrize(
    ("options", "hidden"),
    [
        ({"ratio": 0.25}, LOWER_RIGHT),
        ({"ratio": 0.5}, UPPER_RIGHT + LOWER_RIGHT),  # of the two equal tiles the first is kept
        ({"ratio": 0.5, "hide": "most"}, UPPER_LEFT + LOWER_LEFT),
        ({"ratio": 0.25, "hide": "most"}, LOWER_LEFT),
        ({"ratio": 0.1, "hide": "most"}, LOWER_LEFT),  # one tile at least
        ({"ratio": 0.99}, UPPER_LEFT + UPPER_RIGHT + LOWER_RIGHT),
        ({"ratio": 0.125, "hide": "most", "tile": 1}, [3, 9]),
        (
            {"ratio": 0.3, "hide": "most", "tile": 3},
            [15, 3, 7, 11, 0],
        ),  # five patches, the last from a tile that is cut
    ],
)
def test_by_hand(options, hidden):
    d = mask(fill="token", **options).draw(noise(1), site(4, 4), batch(1), seen=seen(LOOKS))
    assert d.hidden[0].nonzero().flatten().tolist() == sorted(hidden)
    assert d.index[0].tolist() == sorted(hidden) and d.index_ok.all()


def test_the_published_size_keeps_25_of_49_tiles():
    where = site(14, 14)
    assert mask(ratio=0.5).hides(where) == (96, 96)
    looks = torch.rand(2, 1, 196, generator=torch.Generator().manual_seed(1))
    d = mask(ratio=0.5).draw(noise(2), where, batch(2), seen=seen(looks))
    resized = torch.nn.functional.interpolate(looks.reshape(2, 1, 14, 14), (7, 7), mode="bilinear").flatten(1)
    best = resized.topk(int(49 * 0.5) + 1, dim=1).indices
    for row in range(2):
        tiles = {(p // 14 // 2) * 7 + p % 14 // 2 for p in d.keep[row].tolist()}
        assert tiles == set(best[row].tolist()) and d.keep.shape[1] == 100


@given(
    rows=st.integers(1, 6),
    columns=st.integers(2, 6),
    frames=st.integers(1, 3),
    tile=st.integers(1, 3),
    ratio=st.floats(0.01, 0.99),
    seed=st.integers(0, 99),
    fill=st.sampled_from(["drop", "token", "pixels"]),
)
@settings(max_examples=60)
def test_checks_of_a_draw(rows, columns, frames, tile, ratio, seed, fill):
    where, n = site(rows, columns, frames), rows * columns
    least, most = (
        mask(ratio=share, tile=tile, hide=hide, fill=fill) for share, hide in ((ratio, "least"), (1 - ratio, "most"))
    )
    looks = torch.rand(3, frames, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    one, other = (m.draw(noise(3), where, batch(3), seen=seen(looks)) for m in (least, most))
    count = least.hides(where)[0]
    assert (one.hidden.sum(1) == count).all() and count < where.positions
    each = one.hidden.reshape(3, frames, n)
    assert (each.sum(2) == count // frames).all()
    if count and most.hides(where)[0] + count == where.positions:
        assert torch.equal(one.hidden, ~other.hidden), "what one keeps the other hides"
    assert torch.equal(one.scored, one.hidden) and one.fill == fill
    for row in range(3):
        assert one.index[row][one.index_ok[row]].tolist() == one.hidden[row].nonzero().flatten().tolist()
    if fill == "drop":
        assert torch.equal(one.keep, torch.stack([(~row).nonzero().flatten() for row in one.hidden]))
    again = least.draw(noise(3, seed=1, when=5), where, batch(3), seen=seen(looks))
    assert torch.equal(again.hidden, one.hidden), "nothing is random"


@pytest.mark.parametrize(
    ("vision", "options"), [(TIMM, {}), ({"type": "toy_vision"}, {"fill": "token", "hide": "most", "tile": 1})]
)
def test_mask_laws(vision, options):
    toy = Toy(model={"vision": vision}, masks={"looked_at": {"type": "cls_attention", **options}})
    for check in mask_checks(CONTENT):
        check.run("looked_at", toy)


def test_scores_are_the_mean_over_all_layers_and_heads_of_the_average():
    """Against attention computed here from the averaged encoder's own weights; the live ones do not matter."""
    toy = Toy(
        model={"vision": TIMM},
        masks={"looked_at": {"type": "cls_attention", "tile": 1}},
        objectives={"mgsc": {"image_mask": "looked_at", "text_mask": "hidden_words"}},
    )
    system, data = toy.system(), toy.batch()
    with torch.no_grad():
        averaged = {
            name: value + 0.3 * torch.randn_like(value) for name, value in system.averages.values()["vision"].items()
        }
        for name, value in system.averages.values()["vision"].items():
            value.copy_(averaged[name])
        vision = toy.system().model["vision"]
        vision.load_state_dict(averaged, strict=False)
        x, total = vision.embed(data["image"]).flatten(1, 2), 0
        for block in vision.module.blocks:
            h = block.norm1(x)
            q, k, _ = block.attn.qkv(h).reshape(*h.shape[:2], 3, 2, 8).permute(2, 0, 3, 1, 4)
            total = total + (q @ k.mT / 8**0.5).softmax(-1).mean(1)[:, 0, 1:]
            x = block(x)
    draw = drawn(system, "looked_at", "image", data)
    keeps = (total / 3).topk(draw.keep.shape[1], dim=1).indices.sort(dim=1)[0]
    assert torch.equal(draw.keep, keeps)
    assert not torch.equal(drawn(toy.system(), "looked_at", "image", data).keep, draw.keep)


def test_an_encoder_without_class_token_or_of_another_input_is_refused():
    without = replace(seen(LOOKS), cls=None)
    with pytest.raises(ValueError, match="no class token"):
        mask().draw(noise(1), site(4, 4), batch(1), seen=without)
    with pytest.raises(ValueError, match="has other positions: image: image"):
        mask(image="text").draw(noise(1), site(4, 6), batch(1), seen=seen(LOOKS))
