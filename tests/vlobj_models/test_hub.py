"""Weights by a hub's name: whether they can be had is known before anything is loaded."""

from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import timm
import torch
from huggingface_hub import constants
from small_inputs import words
from transformers import AutoModel
from vlobj_models.hf_text import HFText
from vlobj_models.timm_vision import TimmVision

from vlobjectives import FieldSpec, hub_missing

NAME = "vit_tiny_patch16_224.augreg_in21k"
BERT = {"model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def text(weights: str | None) -> str:
    return HFText(HFText.Config(config=BERT, weights=weights), words()).weights_missing()


def vision(weights: str | None) -> str:
    config = TimmVision.Config(name="vit_tiny_patch16_224", weights=weights)
    with torch.device("meta"):
        return TimmVision(config, {"image": FieldSpec("picture", (3, 16, 16))}).weights_missing()


def test_a_name_that_was_never_fetched(offline):
    assert (
        text("owner/model") == "'owner/model' was never fetched to this machine, and HF_HUB_OFFLINE forbids to "
        "ask the hub"
    )
    assert vision("hf-hub:owner/model").startswith("'owner/model' was never fetched")
    assert timm.get_pretrained_cfg(NAME).hf_hub_id in vision(NAME)


def test_a_hub_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert text("owner/model").endswith("http://127.0.0.1:9 does not answer")


def test_a_proxy_in_place_of_the_hub(monkeypatch):
    class Refuses(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(503)
            self.end_headers()

        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with HTTPServer(("127.0.0.1", 0), Refuses) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        assert text("owner/model").endswith("answers with error 503")
        server.shutdown()


def test_what_lies_here(offline, monkeypatch, tmp_path):
    made = HFText(HFText.Config(config=BERT), words())
    AutoModel.from_config(made.module.config).save_pretrained(tmp_path)
    assert text(None) == vision(None) == text(str(tmp_path)) == vision(str(tmp_path)) == ""
    fetched = tmp_path / "models--owner--model"
    (fetched / "snapshots" / "1").mkdir(parents=True)
    (fetched / "refs").mkdir()
    (fetched / "refs" / "main").write_text("1", encoding="utf-8")
    (fetched / "snapshots" / "1" / "model.safetensors").touch()
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert hub_missing("owner/model", ["model.safetensors"]) == text("owner/model") == ""


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ("no_such_model", "neither a file or folder nor a timm model"),
        ("/no/such.pt", "no file or folder /no/such.pt"),
        ("vit_tiny_patch16_224.no_such_tag", "no_such_tag"),
    ],
)
def test_what_is_nowhere(offline, weights, words):
    assert words in vision(weights)
