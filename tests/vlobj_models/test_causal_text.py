"""The causal text tower against open_clip's (spec 1.2, 1.3), and who sees whom."""

from dataclasses import replace

import pytest
import torch
from coca_numbers import close, coca, text_weights, texts, weights
from small_inputs import PLAIN, captions, pictures, words
from vlobj_models.causal_text import CausalText
from vlobj_models.projection import JointProjection

from vlobjectives import CannotBuild, FieldSpec, Spec


def tower(**more) -> CausalText:
    torch.manual_seed(0)
    return CausalText(CausalText.Config(width=16, depth=2, heads=2, position_std=0.5, **more), words()).double().eval()


@pytest.mark.parametrize(("name", "rule"), [("text_correct", "correct"), ("text_legacy", "open_clip")])
def test_golden(name, rule):
    z = coca(name)
    w = weights(z)
    vocabulary, width = w["token_embedding.weight"].shape
    part = CausalText(
        CausalText.Config(width=width, depth=2, heads=int(z["in_heads"]), cls_mask=rule),
        {"caption": FieldSpec("tokens", (z["in_text"].shape[1],), vocabulary)},
    ).double()
    part.load_state_dict(text_weights(w))
    value = part(texts(z["in_text"]), None, PLAIN)
    close(value.tokens, z["out_tokens"])
    joint = JointProjection(
        JointProjection.Config(width=5, norm=("text",), bias=False), Spec(width, classes=1, grid=(1, 1)), part.spec
    ).double()
    joint.text.load_state_dict(
        {"0.weight": w["ln_final.weight"], "0.bias": w["ln_final.bias"], "1.weight": w["text_projection"].T}
    )
    close(joint.text(value.cls[:, 0]), z["out_pooled"])
    close(joint(value, "text", PLAIN).pooled, z["out_pooled"] / z["out_pooled"].norm(dim=-1, keepdim=True))


@pytest.mark.parametrize("place", [2, 5])
def test_property_12_words_see_none_that_come_after_and_cls_sees_all(place):
    part, x = tower(), captions((10, 10), seed=1)
    other = replace(x, ids=x.ids.index_fill(1, torch.tensor([place]), 39))
    assert not torch.equal(other.ids, x.ids)
    one, two = part(x, None, PLAIN), part(other, None, PLAIN)
    assert torch.equal(one.tokens[:, :place], two.tokens[:, :place])
    assert (one.tokens[:, place] != two.tokens[:, place]).any()
    assert ((one.cls - two.cls).abs().amax((1, 2)) > 1e-6).all()


def test_property_12_cls_is_seen_by_no_word():
    part, x = tower(), captions()
    one = part(x, None, PLAIN)
    torch.nn.init.constant_(part.cls, 3.0)
    two = part(x, None, PLAIN)
    assert torch.equal(one.tokens, two.tokens) and (one.cls != two.cls).any()


def test_property_13_padding_changes_nothing_under_the_correct_rule_alone():
    x = captions((10, 7, 3))
    other = replace(x, ids=torch.where(x.valid, x.ids, 7))
    for rule, changes in (("correct", False), ("open_clip", True)):
        part = tower(cls_mask=rule)
        one, two = part(x, None, PLAIN), part(other, None, PLAIN)
        assert torch.equal(one.tokens[x.valid], two.tokens[x.valid])
        moved = (one.cls - two.cls).abs().amax((1, 2)) > 1e-9
        assert moved.tolist() == [False, changes, changes]


def test_property_13_trimmed_padding_changes_nothing():
    part, x = tower(), captions((7, 3))
    one, two = part(x, None, PLAIN), part(x.map(lambda t: t[:, :7]), None, PLAIN)
    assert (one.tokens[:, :7] - two.tokens)[two.valid].abs().max() < 1e-12
    assert (one.cls - two.cls).abs().max() < 1e-12


def test_keys_of_one_new_position_are_those_of_the_whole():
    part, x = tower(), captions((10, 10))
    whole = part.embed(x.ids)
    new = part.embed(x.ids[:, 4:5], first=4)
    assert torch.equal(new, whole[:, 4:5])
    for one, all_of_them in zip(part.blocks[0].keys(new), part.blocks[0].keys(whole)):
        assert (one - all_of_them[:, :, 4:5]).abs().max() < 1e-12


def test_first_weights_are_scaled_by_width():
    torch.manual_seed(0)
    part = CausalText(CausalText.Config(width=256, depth=3, heads=4), words(vocabulary=500))
    block = part.blocks[1]
    wanted = {
        part.words.weight: 0.02,
        part.positions: 0.01,
        block.attention.key.weight: 256**-0.5,
        block.attention.out.weight: 256**-0.5 * 6**-0.5,
        block.fc1.weight: 512**-0.5,
        block.fc2.weight: 256**-0.5 * 6**-0.5,
    }
    for weight, std in wanted.items():
        assert weight.std().item() == pytest.approx(std, rel=0.1)


def test_it_reads_tokens_with_heads_that_divide_its_width():
    with pytest.raises(CannotBuild, match="reads fields of tokens"):
        CausalText(CausalText.Config(width=8, depth=1, heads=2), pictures())
    with pytest.raises(CannotBuild, match="do not divide"):
        CausalText(CausalText.Config(width=8, depth=1, heads=3), words())
