"""Co-attention: published numbers (GLSCL, specification 1.3) and its properties (7.1.12)."""

from dataclasses import replace

import pytest
import torch
from small_inputs import PLAIN, agrees, golden
from torch import Tensor
from vlobj_models.co_attention import CoAttention

from vlobjectives import CannotBuild, Encoded, RequestedOutputs, Spec
from vlobjectives.functional.attention import attention_bias

LINEAR = {
    "self_query": "own.query",
    "self_key": "own.key",
    "self_value": "own.value",
    "self_out": "own.out",
    "self_ln": "norm1",
    "cross_query": "cross.query",
    "cross_key": "cross.key",
    "cross_value": "cross.value",
    "cross_out": "cross.out",
    "cross_ln": "norm2",
    "fc1": "fc1",
    "fc2": "fc2",
    "ln": "norm3",
}


def ours(g: dict[str, Tensor], depth: int) -> dict[str, Tensor]:
    weights = {"types.weight": g["w_type_embedding"]}
    for kind in ("weight", "bias"):
        for stream in ("text", "image"):
            for part in ("transform", "pooler"):
                weights[f"{stream}_{part}.{kind}"] = g[f"w_{stream}_{part}_{kind}"]
            for layer in range(depth):
                for theirs, name in LINEAR.items():
                    weights[f"{stream}_blocks.{layer}.{name}.{kind}"] = g[f"w_{stream}{layer}_{theirs}_{kind}"]
    return weights


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["fusion_0", "fusion_1"])
def test_published_numbers(name: str, dtype: torch.dtype):
    g = golden(name, dtype)
    depth, frames = 2 if "w_text1_fc1_weight" in g else 1, int(g["in_frames"])
    part = (
        CoAttention(
            CoAttention.Config(
                width=8,
                depth=depth,
                heads=int(g["in_heads"]),
                transform=True,
                mlp_ratio=g["w_text0_fc1_bias"].numel() / 8,
            ),
            Spec(8, classes=frames, grid=(1, 1)),
            Spec(8),
        )
        .to(dtype)
        .eval()
    )
    part.load_state_dict(ours(g, depth))
    image = Encoded(
        g["in_image"][:, frames:],
        torch.ones(2, g["in_image"].shape[1] - frames, dtype=torch.bool),
        cls=g["in_image"][:, :frames],
    )
    text = Encoded(g["in_text"], g["in_text_mask"].bool(), cls=g["in_text"][:, :1])
    for want in (RequestedOutputs(layers=frozenset({0})), RequestedOutputs(layers=frozenset({0}), maps=True)):
        fused = part(image, text, want)
        agrees(fused.text.layers[0], g["out_text_layer0"])
        agrees(fused.image.layers[0], g["out_image_layer0"])
        agrees(fused.text.tokens, g["out_text"])
        agrees(torch.cat([fused.image.cls, fused.image.tokens], 1), g["out_image"])
        agrees(fused.text.cls, g["out_text"][:, :1])
        agrees(fused.pooled, g["out_cls_feats"])
        agrees(fused.pooled, torch.cat([g["out_pooled_text"], g["out_pooled_image"]], -1))
    agrees(fused.text.maps["cross"], g["out_text_cross_attention_last"])
    assert fused.text.maps["cross"] is fused.text.maps[f"cross{depth - 1}"]


def made(**changes) -> tuple[CoAttention, Encoded, Encoded]:
    torch.manual_seed(0)
    config = CoAttention.Config(**{"width": 8, "depth": 2, "heads": 2, "init_std": 0.3, **changes})
    part = CoAttention(config, Spec(8, classes=1, grid=(2, 2), length=4), Spec(8, length=5)).double().eval()
    image = Encoded(
        torch.randn(3, 4, 8).double(), torch.ones(3, 4, dtype=torch.bool), cls=torch.randn(3, 1, 8).double()
    )
    tokens = torch.randn(3, 5, 8).double()
    valid = torch.arange(5) < torch.tensor([5, 3, 1])[:, None]
    return part, image, Encoded(tokens, valid, cls=tokens[:, :1])


@pytest.mark.parametrize("want", [PLAIN, RequestedOutputs(maps=True)])
def test_what_stands_in_padding_changes_nothing(want: RequestedOutputs):
    part, image, text = made()
    before = part(image, text, want)
    other = torch.where(text.valid[..., None], text.tokens, 50 * torch.randn_like(text.tokens))
    after = part(image, replace(text, tokens=other), want)
    assert torch.equal(before.image.tokens, after.image.tokens)
    assert torch.equal(before.image.cls, after.image.cls)
    assert torch.equal(before.pooled, after.pooled)
    assert torch.equal(before.text.tokens[text.valid], after.text.tokens[text.valid])
    assert not torch.equal(before.text.tokens, after.text.tokens)


def test_hidden_patches_are_looked_at_by_nobody():
    part, image, text = made()
    valid = torch.tensor([True, False, True, False]).expand(3, 4)
    image = replace(image, valid=valid)
    other = torch.where(valid[..., None], image.tokens, 9.0)
    before, after = part(image, text, RequestedOutputs(maps=True)), part(replace(image, tokens=other), text, PLAIN)
    agrees(after.text.tokens, before.text.tokens)
    agrees(after.pooled, before.pooled)
    assert before.text.maps["cross"][:, :, :, 2].max() == 0  # one class token, then patch 1


def test_streams_are_symmetric():
    """Swapping weights and inputs of the streams swaps the outputs."""
    part, image, text = made()
    turned, _, _ = made()
    swapped = {"image": "text", "text": "image"}
    state = {
        f"{swapped[name.split('_')[0]]}_{name.split('_', 1)[1]}" if name.split("_")[0] in swapped else name: value
        for name, value in part.state_dict().items()
    }
    turned.load_state_dict(state | {"types.weight": part.types.weight.flip(0)})
    turned.classes = {"image": 0, "text": 1}
    a, b = part(image, text, PLAIN), turned(text, image, PLAIN)
    agrees(b.image.tokens, a.text.tokens)
    agrees(b.text.tokens, a.image.tokens)
    agrees(b.text.cls, a.image.cls)
    agrees(b.pooled, torch.cat(a.pooled.chunk(2, -1)[::-1], -1))


def test_both_streams_read_the_layer_before():
    """The image stream after one layer hangs on the text before it, not after: its own text block changes nothing."""
    part, image, text = made(depth=1)
    before = part(image, text, PLAIN)
    with torch.no_grad():
        part.text_blocks[0].fc2.bias += 1
    after = part(image, text, PLAIN)
    assert torch.equal(before.image.tokens, after.image.tokens)
    assert not torch.equal(before.text.tokens, after.text.tokens)


def test_where_the_text_alone_looks_the_picture_stays_as_it_is():
    """Block by block by hand, and it has half of the weights."""
    part, image, text = made(looks="text")
    fused = part(image, text, RequestedOutputs(layers=frozenset({0, 1}), maps=True))
    y = torch.cat([image.cls, image.tokens], 1) + part.types.weight[1]
    x, seen_x = text.tokens + part.types.weight[0], attention_bias(text.valid, torch.float64)
    for block in part.text_blocks:
        x, _ = block(x, y, seen_x, torch.zeros(1, 1, 1, 1).double(), False)
    assert torch.allclose(fused.text.tokens, x, rtol=0, atol=1e-12)
    assert torch.equal(torch.cat([fused.image.cls, fused.image.tokens], 1), y)
    assert torch.equal(fused.image.layers[1], y) and not fused.image.maps and "cross" in fused.text.maps
    assert torch.equal(fused.pooled, torch.tanh(part.text_pooler(fused.text.cls[:, 0])))
    assert fused.pooled.shape[1] == part.spec.pooled == 8
    assert not any(name.startswith("image_") for name, _ in part.named_parameters())


def test_dropout_belongs_to_training():
    part, image, text = made(dropout=0.5)
    assert torch.equal(part(image, text, PLAIN).pooled, part(image, text, PLAIN).pooled)
    part.train()
    assert not torch.equal(part(image, text, PLAIN).pooled, part(image, text, PLAIN).pooled)


def test_rows_do_not_see_each_other():
    part, image, text = made()
    index = torch.tensor([2, 0, 0, 1, 2])
    all_rows = part(image.rows(index), text.rows(index), PLAIN)
    agrees(all_rows.pooled, part(image, text, PLAIN).pooled[index])


def test_transforms_are_made_where_widths_differ():
    config = CoAttention.Config(width=8, depth=1, heads=2)
    part = CoAttention(config, Spec(6, classes=1), Spec(8))
    assert isinstance(part.image_transform, torch.nn.Linear) and isinstance(part.text_transform, torch.nn.Identity)
    assert part.spec.pooled == 16


def test_a_picture_without_class_token_is_pooled_over_its_valid_patches():
    config = CoAttention.Config(width=8, depth=1, heads=2, init_std=0.3)
    part = CoAttention(config, Spec(8, grid=(2, 2)), Spec(8)).double().eval()
    _, image, text = made()
    image = replace(image, cls=None, valid=torch.tensor([True, True, False, True]).expand(3, 4))
    fused = part(image, text, PLAIN)
    assert fused.image.cls is None and fused.image.tokens.shape == (3, 4, 8)
    mean = fused.image.tokens[:, [0, 1, 3]].mean(1)
    agrees(fused.pooled[:, 8:], torch.tanh(part.image_pooler(mean)))


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(CannotBuild, match="3 heads do not divide"):
        CoAttention(CoAttention.Config(width=8, depth=1, heads=3), Spec(8), Spec(8))


def test_tiny_runs():
    part = CoAttention(CoAttention.Config(width=768, depth=6, heads=12).tiny(), Spec(8, classes=1), Spec(8)).double()
    _, image, text = made()
    assert part(image, text, PLAIN).pooled.shape == (3, 64)
