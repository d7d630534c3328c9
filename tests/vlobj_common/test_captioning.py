"""Evaluation `captioning`: a writer that knows is far above one that does not, on scenes and on photos."""

from pathlib import Path

import pytest
from helds import RECIPE, Given, scenes
from vlobj_common.evaluations.caption_scores import Cider
from vlobj_common.evaluations.captioning import Captioning
from vlobj_data.captions.captions import Captions

from vlobjectives.data.data_module import build_data
from vlobjectives.data.loader import in_order
from vlobjectives.evaluation.context import SplitContext
from vlobjectives.recipe.loading import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

PHOTOS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions" / "flickr8k"


class Writer(Given):
    """Writes what `says` says of a sample number; of a source without a trained system."""

    def __init__(self, source, says, split="test", rows=16):
        self.source, self.says, self.split, self.rows, self.asked = source, says, split, rows, []

    def size(self):
        return self.source.size(self.split)

    def batches(self):
        from vlobjectives.contracts.views import Input
        from vlobjectives.data.collate import Fields

        fields = Fields(self.source.columns, {}, {}, {"image": ("image",)})
        assert Input("image", "vision") == self.inputs["image"]
        return in_order(self.source, fields, self.split, self.size(), self.rows, self.seed)

    def written(self, name, batch, beams=1):
        self.asked.append((name, beams))
        return [self.says(number) for number in batch.number.tolist()]


def run(held, **config):
    return Captioning(Captioning.Config(**config)).run(held)


def test_a_writer_that_knows_and_one_that_says_the_same_of_all():
    source = scenes(test=60)

    def caption(number):
        return source.sample("test", number, 0, 0).values["captions"][1]

    knows = run(Writer(source, caption))
    assert knows["bleu4"].value == pytest.approx(1) and knows["bleu4"].n == 60
    assert knows["bleu4"].low == knows["bleu4"].high == pytest.approx(1)
    assert 0.1 < knows["bleu4"].chance < 0.5 and knows["cider"].chance < 1 < knows["cider"].low
    assert not knows["cider"].per_cent and knows["cider"].low < knows["cider"].value < knows["cider"].high
    blind = run(Writer(source, lambda number: "top left a small circle and top right a large square"))
    for name in ("bleu4", "cider"):
        assert blind[name].value == pytest.approx(blind[name].chance)  # handed to others it is worth as much
    turned = run(Writer(source, lambda number: caption((number + 1) % 60)))
    assert turned["cider"].high < knows["cider"].low and turned["cider"].low < turned["cider"].chance * 2


def test_pictures_beams_and_the_objective_are_as_asked_for():
    source = scenes(test=60)
    held = Writer(source, str)
    assert run(held, count=20, beams=3, of="writer")["bleu4"].n == 20
    assert set(held.asked) == {("writer", 3)}
    assert run(Writer(scenes(test=1), str)) == {}  # of one picture nothing can be shuffled


def test_references_by_hand():
    """The five captions of two scenes, as CIDEr-D has them."""
    source = scenes(test=2)
    references = [source.sample("test", number, 0, 0).values["captions"] for number in range(2)]
    says = [references[0][0], references[0][0]]
    cider = Cider(references)
    assert run(Writer(source, lambda number: says[number]))["cider"].value == pytest.approx(
        (cider(says[0], 0) + cider(says[1], 1)) / 2
    )


def photos() -> Captions:
    return Captions(
        Captions.Config(
            manifest=str(PHOTOS / "dataset_flickr8k_small.json"),
            captions="each",
            images=str(PHOTOS / "images"),
            image_size=32,
        )
    )


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photos are not there")
def test_photos_are_described_once_beside_all_of_their_captions():
    """Each caption is a sample: five of a picture, in batches that cut the five apart."""
    source = photos()
    said = [source.value("test", number, "caption", 0, 0) for number in range(source.size("test"))]
    pictures = {source.sample("test", number, 0, 0).same for number in range(60)}
    held = Writer(source, lambda number: said[number], rows=8)
    scores = run(held, count=None)
    assert len(said) == 5 * scores["bleu4"].n and len(pictures) == 12
    assert scores["bleu4"].value == pytest.approx(1) and scores["bleu4"].chance < 0.2
    assert scores["cider"].low > 1 > scores["cider"].chance


def test_on_a_real_system(tmp_path):
    made = (
        RECIPE[: RECIPE.index("  text:")]
        + """\
  text: {type: causal_text, width: 16, depth: 1, heads: 2}
  captioner: {type: cross_decoder, query: text, memory: vision, causal: true, width: 16, depth: 1, heads: 2}
  words: {type: vocabulary_head, of: captioner}
objectives: {ic: {}}
optim: {lr: 1e-3}
run: {steps: 1}
"""
    )
    (tmp_path / "coca.yaml").write_text(made, encoding="utf-8")
    resolved = resolve(load(tmp_path / "coca.yaml"), Registry())
    pieces = build_data(resolved)
    pieces.fields.fit(lambda column: (pieces.source.value("train", n, column, 0, 0) for n in range(64)))
    held = SplitContext(assemble.system(resolved, pieces).eval(), pieces.source, pieces.fields, "test", 0, 16, "cpu")
    scores = run(held, count=20)
    assert scores["cider"].n == 20 and scores == run(held, count=20)
