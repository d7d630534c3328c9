"""The vocabulary head: published numbers (GLSCL, specification 2.3), ties, and which ids it scores."""

import pytest
import torch
from small_inputs import SPECIAL, agrees, golden, words
from vlobj_models.hf_text import HFText
from vlobj_models.vocabulary_head import VocabularyHead

from vlobjectives import CannotBuild, FieldSpec, Spec

BERT = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", ["mlm_0", "mlm_1"])
def test_published_numbers(name: str, dtype: torch.dtype):
    g = golden(name, dtype)
    count, width = g["w_decoder_weight"].shape
    of = Spec(width, fields=words(vocabulary=count))
    part = VocabularyHead(VocabularyHead.Config(), of).to(dtype)
    names = {
        "dense.weight": "dense_weight",
        "dense.bias": "dense_bias",
        "norm.weight": "ln_weight",
        "norm.bias": "ln_bias",
        "decoder.weight": "decoder_weight",
        "bias": "decoder_bias",
    }
    part.load_state_dict({own: g[f"w_{theirs}"] for own, theirs in names.items()})
    x = g["in_text_feats"].requires_grad_()
    logits = part(x)
    agrees(logits, g["out_logits"])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), g["in_labels"].flatten(), ignore_index=-100)
    agrees(loss, g["out_loss"])
    loss.backward()
    agrees(x.grad, g["out_grad_text_feats"])


def test_tied_rows_are_the_token_table():
    text = HFText(HFText.Config(config=BERT), words())
    head = VocabularyHead(VocabularyHead.Config(of="text", tied=True), text.spec)
    ((own, other),) = head.ties().items()
    assert (own, other.split(".")[0]) == ("decoder.weight", "text")
    table = text.get_parameter(other.removeprefix("text."))
    assert table is text.module.get_input_embeddings().weight
    assert head.get_parameter(own).shape == table.shape
    head.decoder.weight = table
    x = torch.randn(2, 3, 16)
    head(x).sum().backward()
    assert table.grad is not None and head(x).shape == (2, 3, 40)


def test_tied_behind_a_transform_of_another_width():
    text = HFText(HFText.Config(config=BERT, out=24), words())
    config = VocabularyHead.Config(of="text", tied=True, transform_width=16, width=48)
    head = VocabularyHead(config, text.spec)
    head.decoder.weight = text.get_parameter(text.spec.embedding)
    assert head(torch.randn(2, 48)).shape == (2, 40)


def test_a_field_that_owns_part_of_the_table_is_scored_alone():
    fields = {
        "caption": FieldSpec("tokens", (8,), 30, ids=(0, 30), special=SPECIAL),
        "phrases": FieldSpec("tokens", (4,), 50, ids=(30, 20), special=SPECIAL),
    }
    of = Spec(6, fields=fields, embedding="table.weight")
    x = torch.randn(2, 3, 6)
    for field, first, count in (("caption", 0, 30), ("phrases", 30, 20)):
        head = VocabularyHead(VocabularyHead.Config(of="text", tied=True, field=field), of)
        assert head.decoder.weight.shape == (50, 6)
        whole = head.norm(torch.nn.functional.gelu(head.dense(x))) @ head.decoder.weight.T
        torch.testing.assert_close(head(x), whole[..., first : first + count])
        assert VocabularyHead(VocabularyHead.Config(field=field), of).decoder.weight.shape == (count, 6)


@pytest.mark.parametrize(
    "config, of, why",
    [
        ({"tied": True}, Spec(6, fields=words()), "no token table"),
        ({}, Spec(6, fields=words(phrases=4)), "2 fields of tokens"),
        ({"field": "phrases"}, Spec(6, fields=words()), "no field of tokens 'phrases'"),
        ({}, Spec(6), "0 fields of tokens"),
    ],
)
def test_what_cannot_be_is_refused(config: dict, of: Spec, why: str):
    with pytest.raises(CannotBuild, match=why):
        VocabularyHead(VocabularyHead.Config(**config), of)


def test_a_matrix_is_its_rows_alone():
    """CoCa's: logits = x W' without a bias, W from N(0, D^-1/2)."""
    head = VocabularyHead(VocabularyHead.Config(layers="matrix"), Spec(64, fields=words(vocabulary=400)))
    (weight,) = head.parameters()
    x = torch.randn(2, 3, 64)
    assert torch.equal(head(x), x @ weight.T) and weight.std().item() == pytest.approx(64**-0.5, rel=0.05)
    with pytest.raises(CannotBuild, match="no transform"):
        VocabularyHead(VocabularyHead.Config(layers="matrix", transform_width=8), Spec(64, fields=words()))


def test_labels_that_no_encoder_reads_have_an_entry_each():
    concepts = FieldSpec("labels", (6,), 11)
    head = VocabularyHead(VocabularyHead.Config(of="vision", field="concepts"), Spec(6), concepts)
    assert head(torch.randn(2, 3, 6)).shape == (2, 3, 11) and head.spec.fields == {"concepts": concepts}
    with pytest.raises(CannotBuild, match="no field of tokens 'concepts'"):
        VocabularyHead(VocabularyHead.Config(of="text", tied=True, field="concepts"), Spec(6, embedding="x"), concepts)
