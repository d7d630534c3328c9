"""One tower reads pictures of other sizes: positions against Pillow's bicubic filter and timm's own forward."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from small_inputs import PLAIN, agrees, kept, pictures, replaced
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from vlobj_models.pooled_vision import PooledVision
from vlobj_models.positions import positions_on
from vlobj_models.timm_vision import TimmVision

from vlobjectives import CannotBuild, FieldSpec, RequestedOutputs

REGISTERS = "vit_small_patch14_reg4_dinov2"


def tower(size: int = 16, frames: int = 0, cls=TimmVision, **more):
    torch.manual_seed(0)
    config = {"patch": 4, "width": 16, "depth": 2, "heads": 2, **more}
    return cls(cls.Config(**config), pictures(size, frames)).double().eval()


def shown(*shape: int) -> Tensor:
    return torch.randn(2, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("own", "grid"), [((8, 8), (4, 4)), ((4, 4), (8, 8)), ((2, 8), (4, 4)), ((6, 4), (3, 7))])
def test_positions_are_pillows_bicubic(own, grid):
    """Pillow widens its filter where a picture becomes smaller, as antialiasing does."""
    table = torch.randn(1, 2 + own[0] * own[1], 3)
    found = positions_on(table, own, grid, 2)
    assert torch.equal(found[:, :2], table[:, :2])
    for channel in range(3):
        plane = Image.fromarray(table[0, 2:, channel].reshape(own).numpy())
        wanted = np.asarray(plane.resize(grid[::-1], Image.Resampling.BICUBIC))
        np.testing.assert_allclose(found[0, 2:, channel].reshape(grid).numpy(), wanted, atol=2e-6)


def test_the_own_grid_is_the_table_itself():
    table = torch.randn(1, 5, 3)
    assert positions_on(table, (2, 2), (2, 2), 1) is table


def test_positions_are_computed_in_full_precision():
    table = torch.randn(1, 16, 3)
    wanted = positions_on(table, (4, 4), (2, 2))
    with torch.autocast("cpu", torch.bfloat16):
        found = positions_on(table, (4, 4), (2, 2))
    assert found.dtype == torch.float32 and torch.equal(found, wanted)
    half = positions_on(table.bfloat16(), (4, 4), (2, 2))
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, positions_on(table.bfloat16().float(), (4, 4), (2, 2)).bfloat16())


def test_the_gradient_reaches_the_one_table():
    part = tower(32)
    part(shown(3, 16, 16), None, PLAIN).tokens.square().sum().backward()
    assert part.module.pos_embed.grad.abs().amin(2).gt(0).all()


@pytest.mark.parametrize("size", [(32, 32), (8, 8), (8, 24)], ids=str)
@pytest.mark.parametrize("more", [{}, {"name": REGISTERS, "patch": None}], ids=["plain", "registers"])
def test_another_size_is_timms_forward_of_any_size(size, more):
    patch = 14 if more else 4
    part = tower(4 * patch, **more)
    sizes = {"embed_dim": 16, "depth": 2, "num_heads": 2, "num_classes": 0, "global_pool": "", "dynamic_img_size": True}
    own = timm.create_model(REGISTERS, img_size=56, **sizes) if more else VisionTransformer(16, 4, **sizes)
    own.load_state_dict(part.module.state_dict())
    x = shown(3, *(side // 4 * patch for side in size))
    expected = own.double().eval().forward_features(x)
    found = part(x, None, PLAIN)
    # timm computes positions in float32
    torch.testing.assert_close(found.tokens, expected[:, own.num_prefix_tokens :], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.cls[:, 0], expected[:, 0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("stem", ["linear", "mlp", "conv"])
@pytest.mark.parametrize("frames", [0, 3])
def test_masks_work_on_another_size(stem, frames):
    """What hides behind a mask changes nothing, and all kept is the clean pass."""
    part = tower(16, frames, stem=stem)
    shape = (*([frames] if frames else []), 3, 8, 24)
    spec = part.spec_for({"local": FieldSpec("picture", shape)})
    assert spec.grid == (2, 6) and spec.length == 12 * max(frames, 1)
    x, n = shown(*shape), spec.length
    draw = replaced(torch.arange(0, n, 2).expand(2, -1), n)
    hidden = draw.hidden.reshape(2, max(frames, 1), 2, 6).repeat_interleave(4, 2).repeat_interleave(4, 3)
    other = torch.where(hidden[:, :, None] if frames else hidden, x + 3, x)
    assert torch.equal(part(x, draw, PLAIN).tokens, part(other, draw, PLAIN).tokens)
    assert not torch.equal(part(x, None, PLAIN).tokens, part(other, None, PLAIN).tokens)
    drop = kept(torch.arange(1, n, 2).expand(2, -1), n)
    assert torch.equal(part(x, drop, PLAIN).tokens, part(other, drop, PLAIN).tokens)
    agrees(part(x, kept(torch.arange(n).expand(2, -1), n), PLAIN).tokens, part(x, None, PLAIN).tokens)
    value = part(x, None, RequestedOutputs(frozenset({0}), maps=True))
    assert value.layers[0].shape[1] == value.maps["block0"].shape[-1] == n + max(frames, 1)


def test_pooled_tokens_are_as_many_whatever_the_size():
    part = tower(cls=PooledVision, pooling="cascade", queries=5, pooler_heads=2)
    local = {"local": FieldSpec("picture", (3, 8, 24))}
    value, spec = part(shown(3, 8, 24), None, PLAIN), part.spec_for(local)
    assert (spec.length, spec.grid, spec.fields) == (5, None, local) and value.tokens.shape == (2, 5, 16)
    assert "sizes" in spec.can
    with pytest.raises(CannotBuild, match="a picture of 10 x 8 is not made of whole patches of 4 x 4"):
        part.spec_for({"local": FieldSpec("picture", (3, 10, 8))})


def test_convolutions_below_the_patches_keep_their_own_size():
    torch.manual_seed(0)
    part = TimmVision(TimmVision.Config(name="vit_tiny_r_s16_p8_224").tiny(), pictures(64))
    assert "sizes" not in part.spec.can
    with pytest.raises(CannotBuild, match="3 x 64 x 64 alone"):
        part.spec_for(pictures(128))
