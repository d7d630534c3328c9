"""Leaks that readers and masks must rule out: held-out captions (L8), phrases that show a hidden word (L10).

L5, targets of another caption: test_counted.py.
"""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from vlobj_mvptr.linked_tokens import LinkedTokens

from vlobjectives import Batch, MaskSample, MaskTarget, Noise, UnusableSample
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.functional import gather_tokens
from vlobjectives.recipe.layers import Layered
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.schema import prepared
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import typed

REGISTRY = Registry()
FIELDS = {
    "caption": {"type": "byte_pair", "size": 400, "length": 40},
    "phrases": {"type": "phrases", "of": "caption", "with": "caption", "least": 3, "size": 300, "length": 8},
    "links": {"type": "links", "of": "phrases", "with": "caption"},
    "concepts": {"type": "counted", "of": "phrases", "least": 3, "size": 300},
}
BERT = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
}


def made(data: dict, **fields) -> DataModule:
    """The pieces of a recipe, its readers fitted on its training split as a run fits them."""
    recipe = Recipe.model_validate_json(
        json.dumps(
            prepared(
                {
                    "data": {"batch": 8, **data},
                    "fields": {**FIELDS, **fields},
                    "inputs": {"text": {"fields": ["caption", "phrases"], "part": "text", "mask": "linked"}},
                    "model": {
                        "text": {"type": "hf_text", "config": BERT},
                        "words": {"type": "vocabulary_head", "of": "text", "field": "caption"},
                    },
                    "masks": {"linked": {"type": "linked_tokens", "ratio": 0.3}},
                    "objectives": {"mlm": {"mask": None}},
                    "optim": {"lr": 1e-3},
                    "run": {"steps": 1},
                }
            )
        ),
        strict=True,
    )
    data_module = build_data(typed(Loaded(recipe, Layered(), Path("made.yaml")), REGISTRY))

    def rows(column: str):
        values = [
            data_module.source.value("train", number, column, data_module.source.settled_epoch, 0)
            for number in range(data_module.source.size("train"))
        ]
        return [value for value in values if not isinstance(value, UnusableSample)]

    data_module.fields.fit(rows)
    return data_module


def test_held_out_captions_have_no_say_in_any_vocabulary(tmp_path):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.png")
    learned = []
    for held_out in ("a red dog near a ball", "seven zebras chase a purple kite"):
        rows = [
            {"image": f"{split}.png", "caption": text, "tags": text.split(), "split": split}
            for text, split in [("a red dog near a ball", "train"), ("a cat on a mat", "train")] * 6
            + [(held_out, "val"), (held_out, "test")] * 6
        ]
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        data = {"type": "captions", "manifest": str(path), "image_size": 32, "columns": {"tags": "names"}}
        data_module = made(data, tags={"type": "tags", "with": "caption", "length": 9})
        learned.append({name: reader.state() for name, reader in data_module.fields.readers.items()})
    assert learned[0] == learned[1]
    assert ["dog", "red"] in learned[0]["concepts"]["concepts"]


@pytest.fixture(scope="module")
def scenes():
    return made({"type": "scenes", "image_size": 32, "samples": 200, "val": 64, "test": 16, "test_new": 0})


def hide(data_module: DataModule, batch: Batch, step: int = 0) -> MaskSample:
    specs = data_module.fields.specs(["caption", "phrases"])
    site = MaskTarget(
        "text", sum(spec.shape[0] for spec in specs.values()), fields=specs, special=specs["caption"].special
    )
    return LinkedTokens(LinkedTokens.Config(ratio=0.3)).draw(Noise(0, "linked", step, batch.number), site, batch)


def test_no_phrase_that_is_seen_holds_a_word_that_is_hidden(scenes):
    """Of real captions, readers and draws: a phrase on whose characters a scored piece lies is the mask token."""
    source, readers = scenes.source, scenes.fields.readers
    samples = [source.sample("val", number, 0, 0) for number in range(64)]
    batch = scenes.fields.batch(samples, range(64))
    tokens, hidden, shown = batch["text"], scenes.fields.spec("caption").special["mask"], 0
    for step in range(4):
        draw = hide(scenes, batch, step)
        for row, sample in enumerate(samples):
            caption = sample.values["caption"]
            spans = readers["caption"].read(caption).spans
            scored = [spans[at - 1] for at in draw.index[row][draw.index_ok[row]].tolist()]
            places = ((tokens.segment[row] == 1) & ~tokens.special[row]).nonzero().flatten().tolist()
            for place, (number, on) in zip(places, readers["phrases"].placed(caption)):
                assert tokens.ids[row, place] == number
                gives = any(first < end and start < last for first, last in scored for start, end in on)
                assert not gives or draw.ids[row, place] == hidden, (caption, scored, on)
                shown += not gives and draw.ids[row, place] == number
    assert shown > 100, "phrases that give nothing away stay"


def test_phrases_are_hidden_and_never_asked_for(scenes):
    samples = [scenes.source.sample("val", number, 0, 0) for number in range(32)]
    batch = scenes.fields.batch(samples, range(32))
    draw = hide(scenes, batch)
    segment = gather_tokens(batch["text"].segment, draw.index)
    assert (segment[draw.index_ok] == 0).all() and (draw.hidden & (batch["text"].segment == 1)).any()
    first, count = scenes.fields.spec("phrases").ids
    assert torch.where(draw.scored, batch["text"].ids, 0).max() < first, "a label is a word piece"
    assert count == len({number for number in map(int, scenes.fields.readers["phrases"].state()) if number >= first})
