"""The vision encoder: timm's model where it is one, frames (GLSCL, specification 7.1.11), fills, stems."""

from dataclasses import replace

import pytest
import timm
import torch
from small_inputs import PLAIN, agrees, kept, pictures, replaced
from torch import Tensor
from vlobj_models.timm_vision import TimmVision

from vlobjectives import CannotBuild, MaskSample, RequestedOutputs
from vlobjectives.functional.pixels import fill_patches

NONE = {"patch": None, "width": None, "depth": None, "heads": None}
SIZES = {"patch": 4, "width": 16, "depth": 2, "heads": 2, "init_std": 0.3, "position_std": 0.5}


def made(clip: int = 0, size: int = 16, **config) -> TimmVision:
    torch.manual_seed(0)
    return TimmVision(TimmVision.Config(**{**SIZES, **config}), pictures(size, clip)).double().eval()


def shown(frames: int = 0, rows: int = 2, size: int = 16) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, *([frames] if frames else []), 3, size, size, generator=generator).double()


@pytest.mark.parametrize("config", [{}, {"pre_norm": True, "act": "quick_gelu", "norm_eps": 1e-5}])
def test_one_picture_is_timms_forward(config: dict):
    part, x = made(**config), shown()
    found = part(x, None, PLAIN)
    agrees(torch.cat([found.cls, found.tokens], 1), part.module.forward_features(x))


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",
        "vit_base_patch16_clip_quickgelu_224",
        "vit_small_patch14_reg4_dinov2",
        "vit_small_patch16_18x2_224",
        "vit_base_patch16_siglip_224",
    ],
)
def test_a_named_model_is_timms(name: str):
    """Registers, no class token and position tables without a class row come with names."""
    patch = 14 if "14" in name else 16
    config = TimmVision.Config(name=name, width=32, depth=1, heads=2)
    if "18x2" in name:  # parallel blocks
        with pytest.raises(CannotBuild, match="blocks of its own"):
            TimmVision(config, pictures(2 * patch))
        return
    torch.manual_seed(0)
    part = TimmVision(config, pictures(2 * patch)).double().eval()
    own = (
        timm.create_model(name, img_size=2 * patch, embed_dim=32, depth=1, num_heads=2, num_classes=0, global_pool="")
        .double()
        .eval()
    )
    own.load_state_dict(part.module.state_dict())
    x = shown(size=2 * patch)
    found, expected = part(x, None, PLAIN), own.forward_features(x)
    agrees(found.tokens, expected[:, own.num_prefix_tokens :])
    assert (found.cls is None) == (not own.has_class_token) and part.spec.classes == int(own.has_class_token)
    if own.num_reg_tokens:
        agrees(found.extra["registers"], expected[:, 1:5])
        assert part.spec.extra == {"registers": (4, 32)}


def test_spec_says_what_comes():
    part = made(3, out=24)
    value = part(shown(3), None, PLAIN)
    assert (part.spec.width, part.spec.length, part.spec.grid, part.spec.patch_size) == (24, 48, (4, 4), 4)
    assert (part.spec.frames, part.spec.classes) == (3, 3)
    assert value.tokens.shape == (2, 48, 24) and value.cls.shape == (2, 3, 24) and value.valid.all()


def test_a_clip_of_one_frame_is_a_picture():
    clip, picture, x = made(1), made(), shown(1)
    clip.load_state_dict(picture.state_dict())
    agrees(clip(x, None, PLAIN).tokens, picture(x[:, 0], None, PLAIN).tokens)


def test_one_model_takes_pictures_and_clips_of_any_length():
    """A picture gets the first frame's vector (as published), two frames the first two; nothing else differs."""
    part, x = made(3), shown(3)
    for frames in (0, 1, 2):
        alone = made(frames, temporal=True)
        alone.load_state_dict({**part.state_dict(), "temporal": part.temporal[: max(frames, 1)]})
        cut = x[:, 0] if frames == 0 else x[:, :frames]
        for key in ("tokens", "cls"):
            agrees(getattr(part(cut, None, PLAIN), key), getattr(alone(cut, None, PLAIN), key))
    assert part(x[:, 0], None, PLAIN).cls.shape == (2, 1, 16)


def test_without_temporal_vectors_permuting_frames_permutes_the_outputs():
    part, x = made(3, temporal=False), shown(3)
    order = torch.tensor([2, 0, 1])
    before, after = part(x, None, PLAIN), part(x[:, order], None, PLAIN)
    agrees(after.cls, before.cls[:, order])
    agrees(after.tokens, before.tokens.reshape(2, 3, 16, 16)[:, order].flatten(1, 2))


def test_where_positions_of_patches_and_of_frames_start():
    """Each by its own option; frames by default from N(0, 1/width), as published."""
    for given, std in ((None, 1 / 8), (2.0, 2.0)):
        part = made(4, frames=64, width=64, position_std=0.5, temporal_std=given)
        assert part.temporal.std().item() == pytest.approx(std, rel=0.05)
        assert part.module.pos_embed.std().item() == pytest.approx(0.5, rel=0.1)


def test_with_temporal_vectors_frames_have_places():
    part, x = made(3), shown(3)
    order = torch.tensor([2, 0, 1])
    assert (part(x[:, order], None, PLAIN).cls - part(x, None, PLAIN).cls[:, order]).abs().max() > 1e-3


@pytest.mark.parametrize("want", [PLAIN, RequestedOutputs(maps=True)])
def test_frames_meet_through_class_tokens_after_two_blocks(want: RequestedOutputs):
    x = shown(3)
    other = x.clone()
    other[:, 2] += 1
    for depth, meets in ((1, False), (2, True)):
        part = made(3, depth=depth)
        before, after = part(x, None, want), part(other, None, want)
        moved = (before.tokens - after.tokens).abs().reshape(2, 3, -1).amax(-1)
        assert bool((moved[:, :2] > 1e-6).all()) == meets and (moved[:, 2] > 1e-6).all()
        if not meets:
            assert (moved[:, :2] == 0).all()
        assert ((before.cls - after.cls).abs().amax(-1) > 1e-6).all()


def test_maps_say_who_sees_whom():
    part, x = made(3), shown(3)
    seen = part(x, None, RequestedOutputs(maps=True)).maps["block0"]
    assert seen.shape == (2, 2, 51, 51)
    agrees(seen.sum(-1), torch.ones(2, 2, 51).double())
    frame = torch.cat([torch.arange(3), torch.arange(3).repeat_interleave(16)])
    allowed = (frame[:, None] == frame) | (torch.arange(51) < 3)[:, None]
    assert (seen[..., ~allowed] == 0).all() and (seen[..., allowed] > 0).all()


@pytest.mark.parametrize("frames", [0, 3])
def test_maps_change_no_output(frames: int):
    part, x = made(frames), shown(frames)
    agrees(part(x, None, RequestedOutputs(maps=True)).tokens, part(x, None, PLAIN).tokens)


def test_layers_are_before_the_final_norm():
    part, x = made(3), shown(3)
    value = part(x, None, RequestedOutputs(layers=frozenset({1})))
    agrees(part.module.norm(value.layers[1]), torch.cat([value.cls, value.tokens], 1))


def test_class_tokens_do_not_hang_on_the_order_of_kept_patches():
    part, x = made(), shown()
    keep = torch.tensor([[3, 9, 1, 14], [0, 5, 6, 7]])
    turned = keep[:, [2, 0, 3, 1]]
    a, b = part(x, kept(keep, 16), PLAIN), part(x, kept(turned, 16), PLAIN)
    agrees(b.cls, a.cls)
    agrees(b.tokens, a.tokens[:, [2, 0, 3, 1]])
    assert a.tokens.shape == (2, 4, 16) and a.valid.shape == (2, 4) and a.draw.keep is keep


def test_keeping_all_is_the_clean_pass():
    part, x = made(), shown()
    agrees(part(x, kept(torch.arange(16).expand(2, -1), 16), PLAIN).tokens, part(x, None, PLAIN).tokens)


def hiding(fill: str, frames: int) -> MaskSample:
    """Half of the patches of each frame, every second one."""
    if fill == "drop":
        return kept(torch.arange(0, 16 * max(frames, 1), 2).expand(2, -1), 16 * max(frames, 1))
    return replaced(torch.arange(1, 16 * max(frames, 1), 2).expand(2, -1), 16 * max(frames, 1))


@pytest.mark.parametrize("frames", [0, 3])
@pytest.mark.parametrize("stem", ["linear", "mlp", "conv"])
@pytest.mark.parametrize("fill", ["drop", "token"])
def test_nothing_comes_through_from_hidden_patches(fill: str, stem: str, frames: int):
    part, x, draw = made(frames, stem=stem), shown(frames), hiding(fill, frames)
    patches = draw.hidden.reshape(2, *([frames] if frames else []), 1, 4, 1, 4, 1)
    pixels = patches.expand(*patches.shape[:-4], 4, 4, 4, 4).reshape(2, *([frames] if frames else []), 1, 16, 16)
    other = torch.where(pixels, 3 * torch.randn_like(x), x)
    before, after = part(x, draw, PLAIN), part(other, draw, PLAIN)
    assert torch.equal(before.tokens, after.tokens) and torch.equal(before.cls, after.cls)
    assert not torch.equal(part(x, None, PLAIN).cls, part(other, None, PLAIN).cls)


@pytest.mark.parametrize("name", ["vit_tiny_r_s16_p8_224", "vitamin_small_224", "vit_small_patch14_reg4_dinov2"])
def test_nothing_comes_through_from_hidden_patches_of_timms_models(name: str):
    """Hybrids with convolutions below their patches, and what is plain."""
    side = 28 if "14" in name else 64
    torch.manual_seed(0)
    part = TimmVision(TimmVision.Config(name=name).tiny(), pictures(side)).eval()
    count, patch = part.spec.length, part.spec.patch_size
    assert patch * part.spec.grid[0] == side and count >= 4
    x = shown(size=side).float()
    index = torch.arange(0, count, 2).expand(2, -1)
    for draw in (kept(index, count), replaced(index, count), replace(replaced(index, count), fill="pixels")):
        one, two = (
            fill_patches(x, draw.hidden, patch, value) for value in (3 * torch.randn_like(x), torch.zeros_like(x))
        )
        if draw.fill == "pixels":  # by the host
            one = fill_patches(one, draw.hidden, patch)
        before, after = part(one, draw, PLAIN), part(two, draw, PLAIN)
        assert torch.equal(before.tokens, after.tokens) and before.tokens.isfinite().all()
    assert not torch.equal(part(x, None, PLAIN).tokens, part(two, None, PLAIN).tokens)


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",
        "vit_small_patch14_reg4_dinov2",
        "vit_small_r26_s32_224",
        "vit_tiny_r_s16_p8_384",
        "vitamin_small_224",
        "vit_base_patch16_siglip_224",
        "vit_little_patch16_reg4_gap_256",
        "vit_base_patch16_rope_reg1_gap_256",
        "deit3_small_patch16_224",
        "vit_small_resnet26d_224",
        "vit_base_mci_224",
    ],
)
def test_what_looks_beyond_its_patch_is_known(name: str):
    """Of timm's families: a plain patch embedding, pixels hidden before it, or refused."""
    size = timm.get_pretrained_cfg(name).input_size[-1]
    with torch.device("meta"):
        try:
            part = TimmVision(TimmVision.Config(name=name, depth=1), pictures(size))
        except CannotBuild as refused:
            assert "is a Eva" in refused.why or "over the batch" in refused.why
            return
    layers = [layer for layer in part.module.patch_embed.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert part.looks_beyond == any(layer.kernel_size != layer.stride for layer in layers)
    assert part.spec.patch_size * part.spec.grid[0] == size


def test_pixels_were_hidden_by_the_host():
    part, x = made(), shown()
    draw = replace(hiding("token", 0), fill="pixels")
    assert torch.equal(part(x, draw, PLAIN).tokens, part(x, None, PLAIN).tokens)


@pytest.mark.parametrize("stem", ["linear", "mlp", "conv"])
def test_a_row_is_the_same_alone_and_in_training(stem: str):
    """No statistics over the batch and none that run."""
    part, x = made(stem=stem).train(), shown(rows=5)
    whole = part(x, None, PLAIN).tokens
    agrees(part(x[3:4], None, PLAIN).tokens, whole[3:4])
    agrees(part.eval()(x, None, PLAIN).tokens, whole)
    assert not [name for name, _ in part.named_buffers()]


def test_conv_stem_is_the_trials():
    layers = made(patch=8, width=128, heads=4, stem="conv").module.patch_embed.layers
    assert [
        (c.in_channels, c.out_channels, c.kernel_size[0], c.stride[0]) for c in layers if isinstance(c, torch.nn.Conv2d)
    ] == [(3, 32, 3, 2), (32, 64, 3, 2), (64, 128, 3, 2), (128, 128, 1, 1)]


@pytest.mark.parametrize("stem", ["linear", "mlp", "conv"])
def test_first_weights_have_the_written_spread(stem: str):
    part = made(size=64, patch=8, width=128, heads=4, init_std=0.08, position_std=0.5, stem=stem, out=64)
    assert part.module.blocks[0].mlp.fc1.weight.std().item() == pytest.approx(0.08, rel=0.05)
    assert part.out.weight.std().item() == pytest.approx(0.08, rel=0.05)
    assert part.module.pos_embed.std().item() == pytest.approx(0.5, rel=0.05)
    assert part.mask_token.std().item() == pytest.approx(1.0, rel=0.2)
    stem_layer = part.module.patch_embed.proj if stem == "linear" else part.module.patch_embed.layers[-1]
    assert stem_layer.weight.std().item() == pytest.approx(0.08, rel=0.05)


@pytest.mark.parametrize(
    "config, frames, size, why",
    [
        ({"patch": 5}, 0, 16, "not made of whole patches of 5"),
        ({"heads": 3}, 0, 16, "3 heads do not divide the width 16"),
        ({"width": None, "heads": None}, 0, 16, "needs width, heads"),
        ({"stem": "conv", "patch": 6}, 0, 24, "never gives patches of 6"),
        ({"name": "vit_small_patch14_dinov2", "patch": None, "stem": "conv"}, 0, 28, "never gives patches of 14"),
        ({"name": "vit_small_patch14_dinov2", "patch": None}, 0, 30, "not made of whole patches of 14"),
        ({"frames": 2}, 3, 16, "does not hold 3 frames"),
        ({"name": "vit_bas_patch16_224"}, 0, 16, "timm has no model"),
        ({"name": "vit_base_patch16_224.no_such_tag"}, 0, 16, "Invalid pretrained tag"),
        ({"name": "resnet18"}, 0, 16, "no plain vision transformer"),
        ({"name": "deit_tiny_distilled_patch16_224", **NONE}, 0, 16, "deit_tiny_distilled_patch16_224' (is|as)"),
        ({"name": "vit_tiny_patch16_224", **NONE, "width": 100}, 0, 16, "timm cannot build"),
        ({"name": "vitamin_small_224", **NONE, "width": 64}, 0, 64, "timm cannot build"),
        ({"name": "vit_tiny_r_s16_p8_224", **NONE, "patch": 8}, 0, 64, "32 pixels a side"),
        ({"name": "vitamin_small_224", **NONE}, 0, 72, "not made of whole patches"),
        ({"name": "vit_base_patch16_siglip_224"}, 3, 16, "no class token"),
    ],
)
def test_what_cannot_be_is_refused(config: dict, frames: int, size: int, why: str):
    with pytest.raises(CannotBuild, match=why):
        made(frames, size=size, **config)


def test_only_one_field_of_pictures_is_read():
    fields = {**pictures(), "more": pictures()["image"]}
    with pytest.raises(CannotBuild, match="one field of pictures"):
        TimmVision(TimmVision.Config(**SIZES), fields)


def test_uneven_frames_of_kept_patches_are_refused():
    with pytest.raises(ValueError, match="not the same number in 3 frames"):
        made(3)(shown(3), kept(torch.arange(7).expand(2, -1), 48), PLAIN)


@pytest.mark.parametrize(
    "config",
    [
        {"patch": 8, "width": 768, "depth": 12, "heads": 12, "out": 768},
        {"name": "vit_base_patch16_clip_224", "depth": 11},
    ],
)
def test_tiny_runs(config: dict):
    part = TimmVision(TimmVision.Config(**config).tiny(), pictures(32))
    assert part(torch.randn(2, 3, 32, 32), None, PLAIN).tokens.shape[2] == 32
    assert sum(p.numel() for p in part.parameters()) < 60_000


def test_slots_see_the_picture_and_are_the_same_for_all():
    part, x = made(slots=3), shown()
    found = part(x, None, PLAIN)
    assert found.extra["slots"].shape == (2, 3, 16) and part.spec.extra == {"slots": (3, 16)}
    assert found.tokens.shape == (2, 16, 16) and part.spec.length == 16
    assert not torch.equal(found.extra["slots"][0], found.extra["slots"][1])
    named = made(name="vit_small_patch14_reg4_dinov2", patch=4, slots=2)
    assert set(named(x, None, PLAIN).extra) == {"slots", "registers"}
    turned = made(slots=3)
    with torch.no_grad():
        turned.slots.copy_(part.slots.flip(0))
    agrees(turned(x, None, PLAIN).extra["slots"], found.extra["slots"].flip(1))
    agrees(turned(x, None, PLAIN).tokens, found.tokens)
    few = kept(torch.tensor([[3, 1], [0, 9]]), 16)
    assert part(x, few, PLAIN).extra["slots"].shape == (2, 3, 16) and part(x, few, PLAIN).tokens.shape == (2, 2, 16)


def test_clips_have_no_slots():
    with pytest.raises(CannotBuild, match="slots are for pictures"):
        made(2, slots=3)
