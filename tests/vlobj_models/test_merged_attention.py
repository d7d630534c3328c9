"""Merged attention: what joins the sequence, what is read from it, and its properties."""

from dataclasses import replace

import pytest
import torch
from small_inputs import PLAIN, agrees
from vlobj_models.merged_attention import MergedAttention

from vlobjectives import CannotBuild, Encoded, RequestedOutputs, Spec

FORMS = pytest.mark.parametrize("norm", ["pre", "post"])


def made(**changes) -> tuple[MergedAttention, Encoded, Encoded]:
    torch.manual_seed(0)
    config = MergedAttention.Config(**{"width": 8, "depth": 2, "heads": 2, "init_std": 0.3, **changes})
    part = MergedAttention(config, Spec(8, classes=1, grid=(2, 2), length=4), Spec(8, length=5)).double().eval()
    image = Encoded(
        torch.randn(3, 4, 8).double(), torch.ones(3, 4, dtype=torch.bool), cls=torch.randn(3, 1, 8).double()
    )
    tokens = torch.randn(3, 5, 8).double()
    valid = torch.arange(5) < torch.tensor([5, 3, 1])[:, None]
    return part, image, Encoded(tokens, valid, cls=tokens[:, :1])


@FORMS
def test_both_streams_are_one_sequence_of_a_plain_transformer(norm: str):
    """Torch's own encoder layers with the same weights."""
    part, image, text = made(norm=norm)
    valid = torch.cat([text.valid, image.valid.new_ones(3, 1), image.valid], 1)
    h = torch.cat([text.tokens, image.cls, image.tokens], 1)
    for block in part.stack.blocks:
        layer = torch.nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", 1e-12, True, norm == "pre").double().eval()
        with torch.no_grad():
            for name in ("weight", "bias"):
                joined = torch.cat([getattr(getattr(block.own, of), name) for of in ("query", "key", "value")])
                getattr(layer.self_attn, f"in_proj_{name}").copy_(joined)
                for theirs, own in (
                    (layer.self_attn.out_proj, block.own.out),
                    (layer.linear1, block.fc1),
                    (layer.linear2, block.fc2),
                    (layer.norm1, block.norm1),
                    (layer.norm2, block.norm2),
                ):
                    getattr(theirs, name).copy_(getattr(own, name))
        layer.requires_grad_()  # the fast path of inference pads with nested tensors
        h = layer(h, src_key_padding_mask=~valid)
    h = part.stack.last(h)
    fused = part(image, text, PLAIN)
    agrees(fused.text.tokens[text.valid], h[:, :5][text.valid])
    agrees(fused.image.cls, h[:, 5:6])
    agrees(fused.image.tokens, h[:, 6:])
    agrees(fused.pooled, torch.tanh(part.pooler(h[:, 0])))
    assert part.spec.pooled == 8 and part.spec.classes == 1


def test_a_picture_may_leave_its_class_token_behind():
    part, image, text = made(classes=False)
    before, after = part(image, text, PLAIN), part(replace(image, cls=9 * image.cls), text, PLAIN)
    assert torch.equal(before.text.tokens, after.text.tokens) and torch.equal(before.pooled, after.pooled)
    assert before.image.cls is None and before.image.tokens.shape == (3, 4, 8) and part.spec.classes == 0
    assert torch.equal(before.text.cls, before.text.tokens[:, :1])


def test_what_an_encoder_keeps_to_itself_is_not_read():
    part, image, text = made()
    slots = {"slots": torch.randn(3, 2, 8).double()}
    fused = part(replace(image, extra=slots), text, PLAIN)
    assert torch.equal(fused.text.tokens, part(image, text, PLAIN).text.tokens) and not fused.image.extra


@FORMS
def test_what_stands_in_padding_changes_nothing(norm: str):
    part, image, text = made(norm=norm)
    before = part(image, text, PLAIN)
    other = torch.where(text.valid[..., None], text.tokens, 50 * torch.randn_like(text.tokens))
    after = part(image, replace(text, tokens=other), PLAIN)
    assert torch.equal(before.image.tokens, after.image.tokens) and torch.equal(before.pooled, after.pooled)
    assert torch.equal(before.text.tokens[text.valid], after.text.tokens[text.valid])


def test_exchanged_regions_exchange_their_outputs_and_nothing_else():
    part, image, text = made(classes=False)
    order = torch.tensor([2, 1, 0, 3])
    before, after = part(image, text, PLAIN), part(replace(image, tokens=image.tokens[:, order]), text, PLAIN)
    agrees(after.image.tokens, before.image.tokens[:, order])
    agrees(after.text.tokens, before.text.tokens)


def test_maps_are_what_a_stream_looked_at_in_the_other():
    part, image, text = made(depth=1)
    fused = part(image, text, RequestedOutputs(layers=frozenset({0}), maps=True))
    assert fused.text.maps["cross"].shape == (3, 2, 5, 5) and fused.image.maps["cross"].shape == (3, 2, 5, 5)
    agrees(fused.text.maps["cross"].sum(-1), torch.ones(3, 2, 5).double())
    assert fused.image.maps["cross"][1, :, :, 3:].max() == 0  # padding
    agrees(torch.cat([fused.image.cls, fused.image.tokens], 1), fused.image.layers[0])


def test_types_tell_the_streams_apart():
    part, image, text = made(types=True)
    before = part(image, text, PLAIN)
    with torch.no_grad():
        part.types.weight[1] += 1
    assert not torch.equal(part(image, text, PLAIN).text.tokens, before.text.tokens)


def test_transforms_are_made_where_widths_differ():
    part = MergedAttention(MergedAttention.Config(width=8, depth=1, heads=2), Spec(6, classes=1), Spec(8))
    assert isinstance(part.image_transform, torch.nn.Linear) and isinstance(part.text_transform, torch.nn.Identity)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(CannotBuild, match="3 heads do not divide"):
        MergedAttention(MergedAttention.Config(width=8, depth=1, heads=3), Spec(8), Spec(8))
