"""Evaluation `zero_shot`: who knows what is there names it, who does not is at chance; on scenes and on photos."""

from pathlib import Path

import pytest
import torch
from helds import Given, scenes
from torch.nn import functional as F
from vlobj_common.evaluations.zero_shot import ZeroShot, names
from vlobj_data.captions.captions import Captions

from vlobjectives import Batch, CannotBuild, Joint

PHOTOS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions" / "flickr8k"
CLASSES = ("dog", "man", "water", "child")


class Eyes(Given):
    """A joint space with an axis for each word of `words`: pictures have those of `sees`, sentences those they say."""

    def __init__(self, source, words, sees, split="test"):
        self.source, self.words, self.sees, self.split, self.rows = source, words, sees, split, 16

    def size(self):
        return self.source.size(self.split)

    def sample(self, number):
        return self.source.sample(self.split, number, 0, 0)

    def batches(self):
        for rows in torch.arange(self.size()).split(self.rows):
            yield Batch(rows, torch.tensor([self.sample(n).same for n in rows.tolist()]), {})

    def batch(self, samples, numbers):
        self.said = [sample.values["caption"] for sample in samples]
        return Batch(torch.arange(len(samples)), torch.arange(len(samples)), {})

    def values(self, views, batch):
        texts = self.said if "text" in views else [self.sees(number) for number in batch.number.tolist()]
        axes = torch.tensor([[float(names(word, text)) for word in self.words] for text in texts])
        return {name: Joint(F.normalize(axes + 1e-3, dim=-1), torch.tensor(1.0)) for name in views}


def run(held, **config):
    return ZeroShot(ZeroShot.Config(**config)).run(held)


def test_scenes_are_named_by_shape_and_by_colour():
    source = scenes(test=80)

    def tags(number):
        return " ".join(source.sample("test", number, 0, 0).values["tags"])

    words = (*source.words("shape"), *source.words("colour"))
    sees = run(Eyes(source, words, tags), prompts=("{}", "a {} on the left"))
    assert {name: score.value for name, score in sees.items()} == {"shape": 1.0, "colour": 1.0}
    assert sees["shape"].n == 80 and 0.3 < sees["shape"].chance < 0.7
    colours = run(Eyes(source, words, lambda number: " ".join(set(tags(number).split()) & set(source.words("colour")))))
    assert colours["colour"].value == 1 and colours["shape"].value < 0.7
    blind = run(Eyes(source, words, lambda number: "circle red"))
    for kind, word in (("shape", "circle"), ("colour", "red")):
        assert blind[kind].value == sum(word in tags(number) for number in range(80)) / 80


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
def test_photos_by_classes_that_the_recipe_names():
    """A class is there where any of the picture's captions names it; a picture stands once."""
    source = photos()
    said: dict[int, str] = {}
    size = source.size("test")
    same = [source.sample("test", number, 0, 0).same for number in range(size)]
    for number in range(size):
        said[same[number]] = f"{said.get(same[number], '')} {source.value('test', number, 'caption', 0, 0)}"
    there = [[names(word, text) for word in CLASSES] for text in said.values()]
    asked = [row for row in there if any(row) and not all(row)]
    scores = run(Eyes(source, CLASSES, lambda number: said[same[number]]), classes=CLASSES)
    assert (scores["top1"].value, scores["top1"].n) == (1.0, len(asked)) and len(asked) > 5
    most = max(sum(row[place] for row in asked) for place in range(len(CLASSES)))
    assert scores["top1"].chance == pytest.approx(most / len(asked))
    blind = run(Eyes(source, CLASSES, lambda number: "man"), classes=CLASSES)["top1"]
    assert blind.value == pytest.approx(sum(row[1] for row in asked) / len(asked))


def test_names():
    assert names("dog", "Two DOGS run") and names("box", "boxes") and names("red circle", "a red circle,")
    assert not names("cat", "a caterpillar") and not names("dog", "hotdog")


def test_what_cannot_be_asked():
    with pytest.raises(CannotBuild, match="no place for a name"):
        ZeroShot(ZeroShot.Config(prompts=("a photo",)))
    assert ZeroShot(ZeroShot.Config()).needs == {"caption", "words"}
    assert ZeroShot(ZeroShot.Config(classes=CLASSES)).needs == {"caption"}
