"""The vision encoder against numbers of the published one (GLSCL, specification 1.1, 2.4, 2.6)."""

import pytest
import torch
from small_inputs import PLAIN, agrees, golden, kept, replaced
from torch import Tensor
from vlobj_models.frame_attention import attended
from vlobj_models.timm_vision import TimmVision

from vlobjectives import FieldSpec, RequestedOutputs
from vlobjectives.functional.masking import keep_indices
from vlobjectives.functional.masking import num_kept as how_many

NAMES = {"ln1": "norm1", "ln2": "norm2", "qkv": "attn.qkv", "out": "attn.proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}


def ours(g: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published weights under our names."""
    weights = {
        "module.patch_embed.proj.weight": g["w_conv"],
        "module.cls_token": g["w_cls"][None, None],
        "module.pos_embed": g["w_pos"][None],
    }
    for kind in ("weight", "bias"):
        weights[f"module.norm_pre.{kind}"] = g[f"w_ln_pre_{kind}"]
        weights[f"module.norm.{kind}"] = g[f"w_ln_post_{kind}"]
        for block in (0, 1):
            for theirs, name in NAMES.items():
                weights[f"module.blocks.{block}.{name}.{kind}"] = g[f"w_b{block}_{theirs}_{kind}"]
    weights["mask_token"] = g.get("w_mask_token", torch.zeros_like(g["w_cls"]))
    return weights | ({"temporal": g["w_temporal"]} if "w_temporal" in g else {})


def encoder(g: dict[str, Tensor], x: Tensor) -> TimmVision:
    config = TimmVision.Config(
        patch=2,
        width=8,
        depth=2,
        heads=2,
        pre_norm=True,
        act="quick_gelu",
        norm_eps=1e-5,
        temporal=True if "w_temporal" in g else None,
        frames=4 if "w_temporal" in g else None,
    )
    part = TimmVision(config, {"image": FieldSpec("picture", tuple(x.shape[1:]))}).to(x.dtype).eval()
    part.load_state_dict(ours(g))
    return part


def joined(value) -> Tensor:
    return torch.cat([value.cls, value.tokens], 1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["vision_0", "vision_1"])
def test_clips(name: str, dtype: torch.dtype):
    g = golden(name, dtype)
    x = g["in_frames"]
    part, frames, n = encoder(g, x), x.shape[1], 9
    embed = part.embed(x).flatten(1, 2)
    agrees(embed, g["out_embed"])
    block = part.module.blocks[0]
    agrees(attended(block.attn, block.norm1(part.module.norm_pre(embed)), frames)[0], g["out_attn0"])
    with_maps = attended(block.attn, block.norm1(part.module.norm_pre(embed)), frames, maps=True)
    agrees(with_maps[0], g["out_attn0"])
    value = part(x, None, RequestedOutputs(layers=frozenset({0})))
    agrees(joined(value), g["out_tokens"])
    frame_major = torch.cat([torch.arange(frames)[:, None], frames + torch.arange(frames * n).reshape(frames, n)], 1)
    agrees(value.layers[0][:, frame_major.flatten()], g["out_block0"])
    one = keep_indices(g["in_noise"], how_many(n, float(g["in_mask_ratio"])))
    keep = torch.cat([one + frame * n for frame in range(frames)], 1)
    agrees(part.embed(x, kept(keep, frames * n)).flatten(1, 2), g["out_embed_masked"])
    agrees(joined(part(x, kept(keep, frames * n), PLAIN)), g["out_tokens_masked"])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["vision_image_0", "vision_image_1"])
def test_pictures(name: str, dtype: torch.dtype):
    g = golden(name, dtype)
    x = g["in_image"]
    part, n = encoder(g, x), g["in_noise"].shape[1]
    agrees(joined(part(x, None, PLAIN)), g["out_tokens"])
    drop = kept(keep_indices(g["in_noise"], how_many(n, float(g["in_drop_ratio"]))), n)
    agrees(part.embed(x, drop)[:, 0], g["out_embed_dropped"])
    agrees(joined(part(x, drop, PLAIN)), g["out_tokens_dropped"])
    token = replaced(g["in_replace_indices"], n)
    assert torch.equal(token.hidden, g["out_replace_mask"].bool())
    agrees(part.embed(x, token)[:, 0], g["out_embed_replaced"])
    agrees(joined(part(x, token, PLAIN)), g["out_tokens_replaced"])
