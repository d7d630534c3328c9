"""Grounding and recovery on a small real system of scenes, and on features made to be right."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from vlobj_mvptr.grounding import Grounding, centres, within
from vlobj_mvptr.recovery import Recovery, exchanged

from vlobjectives import Batch, CannotBuild, Spec, Tokens, Vectors
from vlobjectives.api import TrainedModel
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.errors import DataError
from vlobjectives.evaluation.context import SplitContext
from vlobjectives.recipe.loading import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

RECIPE = """
data: {type: scenes, image_size: 32, samples: 64, test: 40, batch: 16}
fields:
  caption: {type: byte_pair, size: 400, length: 40}
  phrases: {type: phrases, of: caption, with: caption, least: 2, size: 300, length: 8}
  links: {type: links, of: phrases, with: caption}
  tags: {type: tags, with: caption, length: 14}
inputs:
  image: {fields: [tags, regions], part: vision, mask: noisy_tags}
  text: {fields: [caption, phrases], part: text, mask: linked}
model:
  vision: {type: tagged_regions, width: 16, depth: 1, heads: 2}
  text:
    type: hf_text
    config: {model_type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16,
             type_vocab_size: 1, hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0}
  fusion: {type: merged_attention, width: 16, depth: 1, heads: 2}
  concepts: {type: vocabulary_head, of: vision, field: tags}
  joint: {type: projection, width: 8, pool: mean}
masks:
  noisy_tags: {type: random_tokens, ratio: 0.3, fill: bert}
  linked: {type: linked_tokens}
objectives:
  mcr: {}
  wpg: {group: 16}
optim: {lr: 1e-3}
run: {steps: 1}
"""


@pytest.fixture(scope="module")
def held(tmp_path_factory) -> SplitContext:
    path = tmp_path_factory.mktemp("small") / "small.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    resolved = resolve(load(path), Registry())
    made = build_data(resolved)
    made.fields.fit(lambda column: (made.source.sample("train", n, 0, 0).values[column] for n in range(64)))
    return SplitContext(
        assemble.system(resolved, made).eval(), made.source, made.fields, "test", 0, 16, torch.device("cpu")
    )


def test_what_knows_the_boxes_is_right_and_what_knows_nothing_is_at_chance(held, monkeypatch):
    """Features in place of the fused ones: a phrase is most like the regions of its thing, or like any."""
    evaluation = Grounding(Grounding.Config())
    blind = evaluation.run(held)["box"]
    assert 0 < blind.chance < 0.7 and blind.n > 30 and blind.low <= blind.value <= blind.high
    plain, sums = held.values, []

    def knowing(views, batch, **more):
        value = plain(views, batch, **more)["pairs"]
        image, text = (torch.zeros(*x.tokens.shape[:2], 8) for x in (value.image, value.text))
        phrase = held.objective("wpg").phrase(value)
        image[..., 7] = text[..., 7] = 1e-3
        for row, number in enumerate(batch.number.tolist()):
            sample = held.sample(number)
            middle = centres(held.part("vision").spec, batch["image"], batch.size)[row]
            boxes = torch.as_tensor(sample.values["boxes"]) / 32
            for place, (first, end) in zip(
                phrase[row].nonzero()[:, 0].tolist(), held.readers["phrases"].read(sample.values["caption"]).spans
            ):
                for k, named in enumerate(sample.values["phrases"]):
                    if named.first <= first < end <= named.end:
                        text[row, place, k] = 1
            for k, box in enumerate(boxes):
                image[row, within(middle, box), k] = 1
        sums.append(len(batch.number))
        return {
            "pairs": replace(value, image=replace(value.image, tokens=image), text=replace(value.text, tokens=text))
        }

    monkeypatch.setattr(held, "values", knowing)
    right = evaluation.run(held)["box"]
    assert right.value == 1 and right.chance == blind.chance and sum(sums) == 40


def test_an_input_of_several_columns_takes_mappings(held):
    system = held.system
    system.data_module = DataModule({"": held}, {})
    system.recipe = SimpleNamespace(data=SimpleNamespace(max_pixels=1))
    with pytest.raises(DataError, match=r"reads tags, regions, and a value is a str\n.*'tags': ..., 'regions'"):
        TrainedModel(system, 0).embed_images(["photo.png"])


def test_centres_of_patches_and_of_regions():
    patches = centres(Spec(8, grid=(2, 4)), None, 3)
    assert patches.shape == (3, 8, 2)
    assert patches[0, 0].tolist() == [0.125, 0.25] and patches[2, 7].tolist() == [0.875, 0.75]
    values = torch.tensor([[[9.0, 0.1, 0.2, 0.3, 0.6, 0.2, 0.4]]])
    ids = torch.zeros(1, 3, dtype=torch.int64)
    tokens = Tokens(ids, ids == 0, ids == 0, ids, {"regions": Vectors(values, torch.ones(1, 1, dtype=torch.bool))})
    assert torch.allclose(centres(Spec(8, beside="regions"), tokens, 1), torch.tensor([[[0.2, 0.4]]]))
    assert within(torch.tensor([[0.5, 0.5], [1.0, 0.5]]), torch.tensor([0.0, 0.0, 1.0, 1.0])).tolist() == [True, False]


def test_recovery_of_an_untrained_system_needs_no_picture(held):
    with pytest.raises(CannotBuild, match="names no mask of its own"):
        Recovery(Recovery.Config()).run(held)
    scores = Recovery(Recovery.Config(mask="noisy_tags")).run(held)
    assert scores["right"].chance == scores["other_picture"].chance and 0 < scores["right"].chance < 0.5
    gain = scores["gain"]
    assert gain.value == pytest.approx(scores["right"].value - scores["other_picture"].value)
    assert gain.low <= 0 <= gain.high


def test_recovery_sees_who_looks_at_regions(held, monkeypatch):
    """A head that is told the hidden piece by its own regions is right with them and not with another's."""
    objective = held.objective("mcr")
    told = {}

    def named(picture, head, batch):
        logits, ids, valid = type(objective).named(objective, picture, head, batch)
        own = told.setdefault(tuple(batch.number.tolist()), picture.tokens.sum())
        answer = torch.nn.functional.one_hot(ids[:, 0].clamp_min(0), logits.shape[1]).float()
        return (answer if picture.tokens.sum() == own else -answer), ids, valid

    monkeypatch.setattr(objective, "named", named)
    scores = Recovery(Recovery.Config(mask="noisy_tags")).run(held)
    assert scores["right"].value == 1 and scores["other_picture"].value == 0 and scores["gain"].low == 1


def test_other_regions_beside_the_same_tags():
    ids = torch.arange(6).reshape(2, 3)
    values = torch.arange(2.0).reshape(2, 1, 1)
    tokens = Tokens(ids, ids >= 0, ids < 0, ids * 0, {"regions": Vectors(values, torch.ones(2, 1, dtype=torch.bool))})
    moved = exchanged(Batch(torch.arange(2), torch.arange(2), {"image": tokens}), "image")["image"]
    assert torch.equal(moved.ids, ids) and moved.beside["regions"].values.flatten().tolist() == [1, 0]
    pictures = exchanged(Batch(torch.arange(2), torch.arange(2), {"image": torch.arange(2.0)}), "image")["image"]
    assert pictures.tolist() == [1, 0]
