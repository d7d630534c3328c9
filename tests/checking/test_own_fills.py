"""Masks beyond those of pictures and words: a third party's own `fill`, and inputs of vectors."""

import pytest
from small_recipes import line_of, plugin, vlobj

import vlobjectives

OWN = """
    from typing import Literal

    import torch
    from torch import nn
    from vlobj_common.masks.random_patches import RandomPatches
    from vlobjectives import (Encoded, Encoder, FieldSpec, MaskName, Objective, ObjectiveConfig, PartConfig, Sample,
                              Source, Spec, Term, encoded, hookimpl)
    from vlobjectives.functional import gather_tokens

    class Sounds(Source):
        columns = {"sound": FieldSpec("vectors", (12, 5)), "caption": FieldSpec("raw")}

        def size(self, split):
            return 16

        def digest(self):
            return "sounds"

        def sample(self, split, number, epoch, seed):
            generator = torch.Generator().manual_seed(number)
            return Sample({"sound": torch.randn(4 + number % 8, 5, generator=generator), "caption": "a hum"}, number)

    class Ear(Encoder):
        class Config(PartConfig):
            softens: bool = True

        def __init__(self, config, fields):
            super().__init__(config, fields)
            (field,) = fields.values()
            self.embed, self.gone = nn.Linear(field.shape[1], 8), nn.Parameter(torch.ones(8))
            can = {"token", "drop"} | ({"soften"} if config.softens else set())
            self.spec = Spec(8, length=field.shape[0], fields=fields, can=frozenset(can))

        def forward(self, x, draw, want):
            tokens, valid = self.embed(x.values), x.valid
            if draw is not None and draw.fill == "soften":
                tokens = torch.where(draw.hidden[..., None], 0.5 * tokens, tokens)
            if draw is not None and draw.fill == "token":
                tokens = torch.where(draw.hidden[..., None], self.gone, tokens)
            if draw is not None and draw.keep is not None:
                tokens, valid = gather_tokens(tokens, draw.keep), valid.gather(1, draw.keep)
            return Encoded(tokens, valid, draw=draw)

    class Softened(RandomPatches):
        class Config(RandomPatches.Config):
            fill: Literal["soften"] = "soften"

    class Heard(Objective):
        class Config(ObjectiveConfig):
            mask: MaskName = "quiet"

        def views(self, inputs):
            return {"x": encoded(inputs["sound"].masked(self.config.mask))}

        def build(self, x):
            self.back = nn.Linear(8, 5)

        def forward(self, x, batch):
            draw = x.draw
            if draw.keep is not None:
                return {"kept": Term(self.back(x.tokens).square().mean(-1).where(x.valid, 0.0).sum(), x.valid.sum())}
            gap = self.back(gather_tokens(x.tokens, draw.index)) - gather_tokens(batch["sound"].values, draw.index)
            return {"gap": Term(gap.square().mean(-1).where(draw.index_ok, 0.0).sum(), draw.index_ok.sum())}

    @hookimpl
    def vlobj_components():
        return {"source:sounds": Sounds, "encoder:ear": Ear, "mask:softened": Softened, "objective:heard": Heard}
"""
RECIPE = """
plugins: [own.py]
data: {type: sounds, batch: 8}
fields: {}
model:
  ear: {type: ear}
inputs: {sound: {part: ear, fields: [sound]}}
masks: {quiet: {type: random_patches, ratio: 0.5, fill: token}}
objectives: {heard: {}}
optim: {lr: 1e-2}
run: {steps: 2, device: cpu, precision: fp32}
evaluate: {losses: false, retrieval: false}
"""
SOFT = "{type: softened, ratio: 0.5}"
TOKEN = "{type: random_patches, ratio: 0.5, fill: token}"


@pytest.fixture
def recipe(tmp_path):
    plugin(tmp_path, OWN)

    def made(mask: str = TOKEN, ear: str = "{type: ear}"):
        path = tmp_path / "own.yaml"
        path.write_text(RECIPE.replace(TOKEN, mask).replace("{type: ear}", ear), encoding="utf-8")
        return path

    return made


@pytest.mark.parametrize("mask", [TOKEN, TOKEN.replace("token", "drop"), SOFT])
def test_vectors_are_masked_and_trained_on(recipe, capsys, mask):
    path = recipe(mask)
    ended = vlobj(capsys, "check", path)
    assert ended.code == 0, ended.err
    built = vlobjectives.build(path)
    feed = next(iter(built.data_module.feeds.values()))
    batch = feed.fields.batch([feed.source.sample("train", n, 0, 0) for n in range(8)], range(8))
    (term,) = built(batch, step=0).terms.values()
    term.total.backward()
    assert 0 < float(term.count) <= 8 * 12 and built.objectives["heard"].back.weight.grad.abs().sum() > 0


def test_places_without_a_vector_are_not_scored(recipe):
    built = vlobjectives.build(recipe())
    feed = next(iter(built.data_module.feeds.values()))
    batch = feed.fields.batch([feed.source.sample("train", n, 0, 0) for n in range(8)], range(8))
    assert not batch["sound"].valid.all()
    (term,) = built(batch, step=0).terms.values()
    assert float(term.count) < 8 * 6


def test_an_encoder_that_cannot_is_refused(recipe, tmp_path, capsys):
    path = recipe(SOFT, "{type: ear, softens: false}")
    ended = vlobj(capsys, "check", path)
    assert ended.code == 2, ended
    assert f"own.yaml:{line_of(path, 'heard')}" in ended.err
    assert "the encoder 'ear' does not hide by 'soften'" in ended.err
    assert "take a mask with fill drop or token" in ended.err
    path = recipe(TOKEN.replace("token", "pixels"))
    ended = vlobj(capsys, "check", path)
    assert ended.code == 2 and "(fill: pixels) is not for the input 'sound' of vectors" in ended.err, ended.err
