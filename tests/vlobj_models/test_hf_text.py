"""Hugging Face encoders: equal to transformers' own forward, blind to padding, and loaded from a folder."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from small_inputs import PLAIN, SPECIAL, agrees, captions, words
from transformers import AutoModel
from vlobj_models import hf_asked
from vlobj_models.hf_text import HFText

from vlobjectives import CannotBuild, FieldSpec, MaskSample, RequestedOutputs

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
KINDS = {
    "bert": {"model_type": "bert", **SIZES},
    "roberta": {"model_type": "roberta", **SIZES},
    "roberta-prelayernorm": {"model_type": "roberta-prelayernorm", **SIZES},
    "distilbert": {"model_type": "distilbert", "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
}
GPT2 = {"model_type": "gpt2", "n_embd": 16, "n_layer": 2, "n_head": 2}
CLIP = {"model_type": "clip_text_model", **SIZES}
kinds = pytest.mark.parametrize("kind", list(KINDS))


def made(config: dict, fields=None, **more) -> HFText:
    torch.manual_seed(0)
    part = HFText(HFText.Config(config={"initializer_range": 0.3, **config}, **more), fields or words())
    return part.double().eval()


@kinds
def test_equals_transformers_own_forward(kind: str):
    part, x = made(KINDS[kind]), captions()
    own = AutoModel.from_config(part.module.config, attn_implementation="eager").double().eval()
    own.load_state_dict(part.module.state_dict(), strict=False)
    expected = own(input_ids=x.ids, attention_mask=x.valid.long(), output_hidden_states=True, output_attentions=True)
    for want in (RequestedOutputs(layers=frozenset({0, 1})), RequestedOutputs(layers=frozenset({0, 1}), maps=True)):
        found = part(x, None, want)
        agrees(found.tokens[x.valid], expected.last_hidden_state[x.valid])
        agrees(found.cls, found.tokens[:, :1])
        for block in (0, 1):
            agrees(found.layers[block][x.valid], expected.hidden_states[block + 1][x.valid])
    for block in (0, 1):
        seen, row = found.maps[f"block{block}"], x.valid[:, None].expand(-1, 2, -1)
        agrees(seen[row], expected.attentions[block][row])


@pytest.mark.parametrize("config", [*KINDS.values(), GPT2])
def test_what_stands_in_padding_changes_nothing(config: dict):
    part, x = made(config, causal=config is GPT2), captions()
    other = replace(x, ids=torch.where(x.valid, x.ids, 17))
    before, after = part(x, None, PLAIN), part(other, None, PLAIN)
    assert torch.equal(before.tokens[x.valid], after.tokens[x.valid])
    assert torch.equal(before.cls, after.cls)


@kinds
def test_a_padding_id_in_the_text_shifts_no_position(kind: str):
    """RoBERTa's own count of positions would skip it and move everything behind it."""
    part, x = made(KINDS[kind]), captions()
    table = part.get_parameter(part.spec.embedding)
    with torch.no_grad():
        table[SPECIAL["pad"]] = table[9]
    put = lambda token: replace(x, ids=torch.where(torch.arange(10) == 2, token, x.ids))  # noqa: E731
    agrees(part(put(SPECIAL["pad"]), None, PLAIN).tokens, part(put(9), None, PLAIN).tokens)


def test_masked_ids_are_the_draws():
    part, x = made(KINDS["bert"]), captions()
    hidden = torch.zeros_like(x.valid)
    hidden[:, 1] = True
    ids = torch.where(hidden, SPECIAL["mask"], x.ids)
    index = torch.ones(3, 1, dtype=torch.int64)
    draw = MaskSample(hidden, hidden, index, index > 0, ids=ids, fill="mask")
    found = part(x, draw, PLAIN)
    agrees(found.tokens, part(replace(x, ids=ids), None, PLAIN).tokens)
    assert found.draw is draw and found.valid is x.valid and found.special is x.special and found.segment is x.segment


@pytest.mark.parametrize("config", [GPT2, CLIP])
def test_causal_equals_the_causal_model(config: dict):
    part, x = made(config, causal=True), captions()
    own = AutoModel.from_config(part.module.config, attn_implementation="eager").double().eval()
    own.load_state_dict(part.module.state_dict())
    agrees(
        part(x, None, PLAIN).tokens[x.valid],
        own(input_ids=x.ids, attention_mask=x.valid.long()).last_hidden_state[x.valid],
    )


@pytest.mark.parametrize("config", [KINDS["bert"], KINDS["roberta-prelayernorm"], GPT2])
def test_causal_sees_nothing_behind(config: dict):
    part, x = made(config, causal=True), captions((10, 10, 3))
    other = replace(x, ids=torch.where(torch.arange(10) > 4, 7, x.ids))
    before, after = part(x, None, PLAIN), part(other, None, PLAIN)
    assert torch.equal(before.tokens[:2, :5], after.tokens[:2, :5])
    assert not torch.equal(before.cls[:2], after.cls[:2])
    agrees(before.cls[:, 0], torch.stack([before.tokens[0, 9], before.tokens[1, 9], before.tokens[2, 2]]))
    assert "causal" in part.spec.can


def test_positions_are_filled_in():
    assert made(KINDS["roberta"]).module.config.max_position_embeddings == 12  # 10 and those up to the padding id, 1
    assert made(KINDS["bert"]).module.config.max_position_embeddings == 10


def test_asking_whether_it_is_causal_moves_no_first_weight():
    hf_asked.causal.cache_clear()
    first, again = (made(KINDS["bert"], out=6) for _ in range(2))  # asked, and answered from memory
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in first.state_dict().items())
    with torch.device("meta"):
        hf_asked.causal.cache_clear()
        assert next(made(KINDS["bert"]).parameters()).is_meta


@pytest.mark.parametrize("pad", [9, 10, 39])
@pytest.mark.parametrize("kind", ["roberta", "roberta-prelayernorm", "bert"])
def test_padding_ids_beyond_the_length_need_no_positions(kind: str, pad: int):
    """CLIP's, GPT-2's and Qwen's tokenizers pad with one of their last ids."""
    special = {**SPECIAL, "pad": pad}
    part = made(KINDS[kind], {"caption": FieldSpec("tokens", (10,), 40, special=special)})
    x = captions()
    x = replace(x, ids=torch.where(x.valid, x.ids.clamp_max(8), pad))
    rows = 10 + (pad + 1 if pad < 10 and kind != "bert" else 0)
    assert part.module.config.max_position_embeddings == rows
    found = part(x, None, PLAIN)
    alone = replace(x, ids=x.ids[2:, :3], valid=x.valid[2:, :3], special=x.special[2:, :3], segment=x.segment[2:, :3])
    agrees(found.tokens[2:, :3], part(alone, None, PLAIN).tokens)
    assert found.tokens.isfinite().all()


def test_several_fields_are_one_sequence_with_token_types():
    part = made(KINDS["bert"], words(6, phrases=4))
    assert part.spec.length == 10
    x = captions()
    segment = (torch.arange(10) > 4).long().expand(3, -1)
    assert not torch.equal(part(x, None, PLAIN).tokens, part(replace(x, segment=segment), None, PLAIN).tokens)
    single = made(KINDS["bert"])
    assert torch.equal(single(x, None, PLAIN).tokens, single(replace(x, segment=segment), None, PLAIN).tokens)


def test_dropout_is_honoured():
    part = made({**KINDS["bert"], "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.5}).train()
    x = captions()
    assert not torch.equal(part(x, None, PLAIN).tokens, part(x, None, PLAIN).tokens)
    still = made({**KINDS["bert"], "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}).train()
    assert torch.equal(still(x, None, PLAIN).tokens, still(x, None, PLAIN).tokens)


def test_out_is_a_linear_map():
    part, x = made(KINDS["bert"], out=6), captions()
    bare = made(KINDS["bert"])
    bare.load_state_dict({key: value for key, value in part.state_dict().items() if not key.startswith("out.")})
    agrees(part(x, None, PLAIN).tokens, part.out(bare(x, None, PLAIN).tokens))
    assert part.spec.width == 6 and part.spec.embedding == "module.embeddings.word_embeddings.weight"


@pytest.mark.parametrize(
    "config, more, why, hint",
    [
        ({}, {}, "no model_type", "roberta"),
        ({"model_type": "robert"}, {}, "knows no model_type 'robert'", "roberta"),
        ({"model_type": "bert", "hiden_size": 8}, {}, "no configuration key 'hiden_size'", "hidden_size"),
        ({"model_type": "bert", "vocab_size": 30}, {}, "vocab_size: 30 is not the fields' 40", "leave vocab_size out"),
        ({"model_type": "roberta", **SIZES, "max_position_embeddings": 10}, {}, "do not hold 10 tokens", "12"),
        ({"model_type": "bert", **SIZES, "num_attention_heads": 3}, {}, "refuses|multiple of", ""),
        (GPT2, {}, "is a causal model", "causal: true"),
        (CLIP, {}, "'clip_text_model' is a causal model", "causal: true"),
        ({**KINDS["bert"], "is_decoder": True}, {}, "'bert' is a causal model", "causal: true"),
        ({"model_type": "vit", **SIZES}, {}, "no encoder of texts", ""),
        ({"model_type": "bart"}, {}, "no encoder of texts", ""),
        ({"model_type": "deberta", **SIZES}, {}, "computes attention by itself", ""),
    ],
)
def test_what_cannot_be_is_refused(config: dict, more: dict, why: str, hint: str):
    with pytest.raises(CannotBuild, match=why) as caught:
        HFText(HFText.Config(config=config, **more), words())
    assert hint in caught.value.hint


@pytest.mark.parametrize("config", [*KINDS.values(), GPT2])
def test_tiny_runs(config: dict):
    whole = HFText.Config(config=config, causal=config is GPT2, out=768, weights="roberta-base")
    part = HFText(whole.tiny(), words()).eval()
    assert part(captions(), None, PLAIN).tokens.shape == (3, 10, 32)
    assert part.module.config.num_hidden_layers == 1 and part.module.config.hidden_size == 32


@kinds
def test_weights_from_a_folder(kind: str, tmp_path):
    source = made(KINDS[kind], words(12, 60))
    source.module.float().save_pretrained(tmp_path)
    part = made(KINDS[kind], weights=str(tmp_path)).float()
    assert str(tmp_path) in part.load_weights()[0]
    x = captions()
    agrees(part(x, None, PLAIN).tokens, source(x, None, PLAIN).tokens)  # 60 and 12 rows of which 40 and 10 are used


@pytest.mark.parametrize(
    "change, fields, why",
    [
        ({"num_attention_heads": 4}, words(), "num_attention_heads is 2, not 4"),
        ({"layer_norm_eps": 1e-5}, words(), "layer_norm_eps is 1e-12, not 1e-05"),
        ({"num_hidden_layers": 1}, words(), "num_hidden_layers is 2, not 1"),
        ({"model_type": "roberta"}, words(), "model_type is bert, not roberta"),
        ({}, words(vocabulary=41), "40 rows, fewer than the 41"),
        ({}, words(11), "10 rows, fewer than the 11"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change: dict, fields: dict, why: str, tmp_path):
    made(KINDS["bert"]).module.save_pretrained(tmp_path)
    part = made({**KINDS["bert"], **change}, fields, weights=str(tmp_path))
    before = {key: value.clone() for key, value in part.state_dict().items()}
    with pytest.raises(CannotBuild, match=why):
        part.load_weights()
    assert all(torch.equal(value, before[key]) for key, value in part.state_dict().items())


def test_roberta_s_weights_are_not_read_into_positions_that_count_from_0(tmp_path):
    made(KINDS["roberta"]).module.save_pretrained(tmp_path)
    part = made(
        KINDS["roberta"],
        {"caption": FieldSpec("tokens", (8,), 40, special={**SPECIAL, "pad": 39})},
        weights=str(tmp_path),
    )
    with pytest.raises(CannotBuild, match=r"count from 2 \(its padding id\), here from 0"):
        part.load_weights()


@pytest.mark.parametrize("form", ["safetensors", "bin", "shards"])
@pytest.mark.parametrize("root", ["", "module.", "model.text."])
def test_weights_of_any_form_and_under_a_prefix(form: str, root: str, tmp_path):
    source = made(KINDS["roberta"]).float()
    write(source, tmp_path, form, root)
    part = made(KINDS["roberta"], weights=str(tmp_path)).float()
    lines = part.load_weights()
    assert torch.equal(part(captions(), None, PLAIN).tokens, source(captions(), None, PLAIN).tokens)
    assert (root in lines[-1]) == (len(lines) > 1 or root == "")


def write(part: HFText, folder: Path, form: str, root: str = "", **changed: torch.Tensor) -> None:
    """A folder as transformers writes it, names under a prefix, tensors changed."""
    part.module.config.save_pretrained(folder)
    held = {root + key: value.clone() for key, value in part.module.state_dict().items()} | changed
    if form == "bin":
        torch.save(held, folder / "pytorch_model.bin")
    elif form == "safetensors":
        save_file(held, folder / "model.safetensors")
    else:
        names = list(held)
        files = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(names)}
        for file in set(files.values()):
            save_file({name: held[name] for name in names if files[name] == file}, folder / file)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}), encoding="utf-8")


@pytest.mark.parametrize("form", ["safetensors", "bin", "shards"])
def test_weights_that_are_no_numbers_are_named_with_their_file(form: str, tmp_path):
    name = "encoder.layer.1.output.dense.weight"
    source = made(KINDS["bert"]).float()
    write(source, tmp_path, form, **{name: torch.full((16, 32), float("inf"))})
    part = made(KINDS["bert"], weights=str(tmp_path)).float()
    with pytest.raises(CannotBuild, match="NaN or infinity") as caught:
        part.load_weights()
    file = {"safetensors": "model.safetensors", "bin": "pytorch_model.bin"}.get(form, "model-")
    assert name in caught.value.why and file in caught.value.why and str(tmp_path) in caught.value.why
    assert all(value.isfinite().all() for value in part.state_dict().values())


class Runs:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_in_a_folder_is_not_run_and_no_message_says_to(tmp_path):
    part = made(KINDS["bert"], weights=str(tmp_path))
    part.module.config.save_pretrained(tmp_path)
    torch.save({"a": Runs(tmp_path / "ran")}, tmp_path / "pytorch_model.bin")
    with pytest.raises(CannotBuild, match="is never run") as caught:
        part.load_weights()
    said = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    said |= {"model_type": "strange", "auto_map": {"AutoConfig": "own.C", "AutoModel": "own.M"}}
    (tmp_path / "config.json").write_text(json.dumps(said), encoding="utf-8")
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    with pytest.raises(CannotBuild, match="is never run") as other:
        part.load_weights()
    for error in (caught.value, other.value):
        assert not {"weights_only", "trust_remote_code"} & set((error.why + error.hint).replace("=", " ").split())
    assert not (tmp_path / "ran").exists()


def test_attention_that_is_not_the_plain_one_is_refused():
    part = made({"model_type": "gemma2", **SIZES, "num_key_value_heads": 2, "head_dim": 8}, causal=True)
    with pytest.raises(CannotBuild, match="softcap"):
        part(captions(), None, PLAIN)


def test_weights_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(CannotBuild, match="could not be loaded"):
        made(KINDS["bert"], weights=str(tmp_path / "nowhere")).load_weights()
