"""The decoders against open_clip's and the specification's (1.2, 2.2, 2.3), and who sees whom."""

from dataclasses import replace

import pytest
import torch
from coca_numbers import close, coca, decoder_weights, encoded, weights
from small_inputs import PLAIN, kept
from torch import Tensor
from vlobj_models.cross_decoder import CrossDecoder, sine_positions

from vlobjectives import CannotBuild, Encoded, Spec

TEXT, PICTURE = Spec(8, length=4, can=frozenset({"causal"})), Spec(8, length=6, grid=(2, 3), patch_size=4)


def decoder(query: Spec = TEXT, memory: Spec | None = PICTURE, **more) -> CrossDecoder:
    torch.manual_seed(0)
    config = {"query": "q", "memory": memory and "m", "width": 8, "depth": 2, "heads": 2, **more}
    return CrossDecoder(CrossDecoder.Config(**config), query, *([memory] if memory else [])).double().eval()


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def published(name: str, **blocks) -> tuple[CrossDecoder, dict[str, Tensor]]:
    z = coca(name)
    w = weights(z)
    width = w["ln_final.weight"].shape[0]
    part = decoder(
        Spec(width, can=frozenset({"causal"})), Spec(width), width=width, heads=int(z["in_heads"]), causal=not blocks
    )
    part.load_state_dict(decoder_weights(w, **blocks))
    return part, z


def test_golden_of_captions():
    part, z = published("decoder")
    found = part(encoded(z["in_text_tokens"]), encoded(z["in_image_tokens"]), PLAIN)
    close(found.tokens @ z["w_text_projection"], z["out_logits"])


def test_golden_property_10_hidden_keys_equal_tokens_taken_away():
    part, z = published("decoder_visible")
    found = part(encoded(z["in_text_tokens"]), encoded(z["in_image_tokens"], ~z["in_hidden"]), PLAIN)
    close(found.tokens @ z["w_text_projection"], z["out_logits"])


def test_golden_of_pixels():
    part, z = published("image_decoder", own="self_blocks", cross="cross_blocks")
    found = part(encoded(z["in_tokens"]), encoded(z["in_text_tokens"], z["in_text_valid"]), PLAIN)
    close(found.tokens @ z["w_to_pixels.weight"].T + z["w_to_pixels.bias"], z["out_pred"])


@pytest.mark.parametrize("mlp_per_layer", [1, 2])
def test_property_10_a_hidden_token_changes_nothing(mlp_per_layer):
    part, memory = decoder(causal=True, mlp_per_layer=mlp_per_layer), drawn(2, 6, 8, seed=1)
    seen = torch.tensor([True, False, True, True, False, True]).expand(2, -1)
    one, two = (
        part(encoded(drawn(2, 4, 8)), encoded(x, seen), PLAIN).tokens
        for x in (memory, torch.where(seen[..., None], memory, 9.0))
    )
    assert torch.equal(one, two)


def test_property_11_the_order_of_memory_does_not_matter():
    part, memory, order = decoder(causal=True), drawn(2, 6, 8, seed=1), torch.tensor([3, 0, 5, 1, 4, 2])
    one, two = (part(encoded(drawn(2, 4, 8)), encoded(x), PLAIN).tokens for x in (memory, memory[:, order]))
    assert (one - two).abs().max() < 1e-12


@pytest.mark.parametrize("causal", [True, False])
def test_property_12_causal_positions_see_none_that_come_after(causal):
    part, query = decoder(causal=causal), drawn(2, 4, 8)
    one, two = (
        part(encoded(x), encoded(drawn(2, 6, 8, seed=1)), PLAIN).tokens
        for x in (query, torch.cat([query[:, :3], query[:, 3:] + 1], 1))
    )
    assert torch.equal(one[:, :3], two[:, :3]) is causal
    assert (one[:, 3] != two[:, 3]).any()


def test_without_memory_cross_blocks_are_skipped():
    """Which equals a decoder that has none, whatever stands in the cross blocks of the one that has."""
    for mlp_per_layer in (1, 2):
        whole = decoder(PICTURE, TEXT, mlp_per_layer=mlp_per_layer)
        x = encoded(drawn(2, 6, 8))
        found = whole(x, None, PLAIN).tokens
        plain = decoder(PICTURE, None)
        plain.load_state_dict(
            {key: value for key, value in whole.state_dict().items() if "cross" not in key}
            | {
                key.replace("cross_blocks", "self_blocks"): value
                for key, value in whole.state_dict().items()
                if mlp_per_layer == 1 and "cross" in key and any(name in key for name in ("norm2", "fc"))
            }
        )
        assert torch.equal(found, plain(x, None, PLAIN).tokens)
        assert (found != whole(x, encoded(drawn(2, 4, 8)), PLAIN).tokens).any()


def test_dropped_patches_come_back_in_their_places():
    part = decoder(PICTURE, TEXT, restore=True, depth=1)
    keep = torch.tensor([[4, 1, 0], [2, 5, 3]])
    draw = kept(keep, 6)
    tokens, seen = drawn(2, 3, 8), []
    part.self_blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    found = part(Encoded(tokens, torch.ones(2, 3, dtype=torch.bool), draw=draw), encoded(drawn(2, 4, 8)), PLAIN)
    assert found.tokens.shape == (2, 6, 8) and found.valid.all() and found.draw.keep is None
    bare = seen[0] - sine_positions((2, 3), 8, tokens)
    for row in range(2):
        assert (bare[row, keep[row]] - tokens[row]).abs().max() < 1e-12
        assert (bare[row, draw.hidden[row]] - part.mask_token).abs().max() < 1e-12


@pytest.mark.parametrize("width", [8, 10])
def test_sine_positions_tell_all_patches_apart(width):
    found = sine_positions((5, 7), width, torch.zeros((), dtype=torch.float64))
    assert found.shape == (35, width) and found.abs().max() <= 1
    assert (torch.cdist(found, found) + torch.eye(35)).min() > 0.05


def test_presets_have_the_sizes_of_the_specification():
    """Section 1.1: light is 26 M numbers, symmetric 170 M, both with two MLPs a layer, on towers of width 768."""
    picture, text = Spec(768, length=196, grid=(14, 14), patch_size=16), Spec(768, length=76)
    for preset, millions in (("light", 26), ("symmetric", 170)):
        with torch.device("meta"):
            part = CrossDecoder(CrossDecoder.Config(query="vision", memory="text", preset=preset), picture, text)
        assert sum(p.numel() for p in part.parameters()) / 1e6 == pytest.approx(millions, rel=0.03)


def test_what_cannot_be_is_refused():
    with pytest.raises(CannotBuild, match="not causal") as refused:
        decoder(replace(TEXT, can=frozenset()), causal=True)
    assert "causal_text" in refused.value.hint
    with pytest.raises(CannotBuild, match="no patches"):
        decoder(restore=True)
    with pytest.raises(CannotBuild, match="do not divide"):
        decoder(heads=3)


def test_property_20_masked_words_do_not_matter_and_none_at_all_stays_finite():
    part, query, memory = decoder(PICTURE, TEXT), encoded(drawn(2, 6, 8)), drawn(2, 4, 8, seed=1)
    seen = torch.tensor([[True, True, False, False], [False] * 4])
    other = memory.masked_fill(~seen[..., None], 5.0)
    one, two = (part(query, encoded(x, seen), PLAIN).tokens for x in (memory, other))
    assert torch.equal(one[0], two[0]) and one.isfinite().all()
