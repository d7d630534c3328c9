"""Further columns of `captions`: kinds, from every form; several texts of a picture."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError
from vlobj_data.captions.captions import Captions
from vlobj_data.scenes.scenes import Scenes
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives import FieldSpec, Sample, UnusableSample
from vlobjectives.errors import DataError

COLUMNS = {
    "long_caption": "caption",
    "question": "text",
    "label": "class",
    "score": "number",
    "tags": "names",
    "other": "image",
}
FURTHER = {
    "long_caption": "A dog on the grass. It runs! Its ball is red.",
    "question": "what runs?",
    "label": 7,
    "score": 0.25,
    "tags": ["dog", "ball"],
    "other": "b.png",
}


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    for name, size in (("a", (20, 30)), ("b", (24, 18))):
        Image.fromarray(draw.integers(0, 256, (*size, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


def written(folder: Path, form: str, **changes) -> Path:
    """A manifest of one picture with a caption and everything further."""
    more = FURTHER | changes
    path = folder / {"jsonl": "m.jsonl", "csv": "m.csv"}.get(form, f"{form}.json")
    if form == "csv":
        cells = [json.dumps(value) if isinstance(value, list | dict) else str(value) for value in more.values()]
        header = ["image", "caption", *(name.upper() for name in more)]
        rows = [header, ["a.png", "a dog", *cells]]
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
        return path
    row = {"image": "a.png", "caption": "a dog"} | more
    made = {
        "jsonl": row,
        "list": [row],
        "karpathy": {"images": [{"filename": "a.png", "sentences": [{"raw": "a dog"}]} | more]},
        "coco": {
            "images": [{"id": 5, "file_name": "a.png"} | more],
            "annotations": [{"image_id": 5, "id": 1, "caption": "a dog"}],
        },
    }
    path.write_text(json.dumps(made[form]), encoding="utf-8")
    return path


def source(path: Path, columns=COLUMNS, **options) -> Captions:
    return Captions(Captions.Config(manifest=str(path), image_size=16, columns=columns, hold_out={}, **options))


@pytest.mark.parametrize("form", ["jsonl", "list", "csv", "karpathy", "coco"])
def test_every_kind_from_every_form(folder, form):
    made = source(written(folder, form))
    assert made.columns == Captions.described(made.config)
    assert {name: (spec.kind, spec.of_caption) for name, spec in made.columns.items()} == {
        "image": ("picture", False),
        "caption": ("raw", True),
        "long_caption": ("raw", True),
        "question": ("raw", False),
        "label": ("raw", False),
        "score": ("number", False),
        "tags": ("raw", False),
        "other": ("picture", False),
    }
    sample = made.sample("train", 0, 0, 0)
    assert list(sample.values) == list(made.columns)
    values = dict(sample.values)
    assert torch.equal(values.pop("other"), framed(made, "b.png"))
    assert torch.equal(values.pop("image"), framed(made, "a.png"))
    assert values == {"caption": "a dog"} | {name: FURTHER[name] for name in COLUMNS if name != "other"} | {
        "label": "7"
    }
    for name in ("long_caption", "question", "label", "tags"):
        assert made.value("train", 0, name, 0, 0) == values[name]


def framed(made: Captions, name: str) -> torch.Tensor:
    path = Path(made.config.manifest).parent / name
    return Captions.framed(made.config, FieldSpec("picture", (3, 16, 16)), path, 10**6)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"long_caption": " "}, "an empty text where long_caption, a text or a list of texts, should be"),
        ({"question": []}, "a list of other things where question, a text or a list"),
        ({"label": True}, "true or false where label, a class"),
        ({"score": "high"}, "a text where score, a finite number"),
        ({"score": "NaN"}, "where score, a finite number"),
        ({"other": 3}, "a number where other, a picture's file name"),
        ({"question": "half \ud800"}, "a text where question"),
        ({"label": None}, "no label, which data.columns names"),
        ({"other": "none.png"}, "does not exist"),
    ],
)
def test_broken_ones_are_bad_samples_that_say_why(folder, changes, why):
    made = source(written(folder, "jsonl", **changes))
    found = made.sample("train", 0, 0, 0)
    assert isinstance(found, UnusableSample) and why in found.reason and "m.jsonl:1" in found.reason
    assert len(made.problems()) == 2 - 1 * (made.config.hold_out == {}) and why in made.problems()[0]


def test_a_table_without_the_column_is_refused(folder):
    with pytest.raises(DataError, match="names no column 'weather'"):
        source(written(folder, "csv"), {"weather": "class"})


def test_one_of_several_texts_is_drawn_in_training_alone(folder):
    path = written(folder, "jsonl", question=["one?", "two?"])
    made = source(path, {"question": "text"})
    drawn = [made.sample("train", 0, epoch, 1).values["question"] for epoch in range(40)]
    assert set(drawn) == {"one?", "two?"}
    assert drawn == [made.value("train", 0, "question", epoch, 1) for epoch in range(40)]
    row = json.loads(path.read_text(encoding="utf-8")) | {"split": "val"}
    path.write_text("\n".join(json.dumps(row | {"split": split}) for split in ("train", "val")), encoding="utf-8")
    held = source(path, {"question": "text"})
    assert {held.sample("val", 0, epoch, seed).values["question"] for epoch in range(9) for seed in range(9)} == {
        "one?"
    }


def test_all_texts_of_a_picture_decide_whether_it_may_be_mirrored(folder):
    for question, both in (("what is left?", False), ("what is there?", True)):
        made = source(written(folder, "jsonl", question=question), flip=True)
        seen = [made.sample("train", 0, epoch, 0).values for epoch in range(12)]
        assert len({values["image"].numpy().tobytes() for values in seen}) == 1 + both
        mirrored = [not torch.equal(values["image"], framed(made, "a.png")) for values in seen]
        assert mirrored == [not torch.equal(values["other"], framed(made, "b.png")) for values in seen], "both or none"


CAPTIONS = [f"caption {number}" for number in range(5)]


def drawing(folder: Path, split: str = "train", columns=None, **draw) -> Captions:
    path = folder / "k.jsonl"
    row = {"image": "a.png", "caption": CAPTIONS, "split": split} | FURTHER
    path.write_text("\n".join(json.dumps(row | {"split": which}) for which in {"train": 0, split: 0}), encoding="utf-8")
    return Captions(
        Captions.Config(manifest=str(path), image_size=16, captions=draw, columns=columns or {}, hold_out={})
    )


def shown(made: Captions, split: str, epoch: int, seed: int = 0) -> list[str]:
    values = made.sample(split, 0, epoch, seed).values
    names = [name for name in made.columns if name.startswith("caption")]
    assert [made.value(split, 0, name, epoch, seed) for name in names] == [values[name] for name in names]
    return [values[name] for name in names]


def test_captions_are_drawn_without_replacement(folder):
    made = drawing(folder, draw=3)
    assert list(made.columns) == ["image", "caption", "caption_2", "caption_3"] and made.size("train") == 1
    epochs = [shown(made, "train", epoch) for epoch in range(60)]
    assert all(len(set(texts)) == 3 and set(texts) <= set(CAPTIONS) for texts in epochs)
    assert {texts[0] for texts in epochs} == set(CAPTIONS)
    again = drawing(folder, draw=3)
    assert epochs == [shown(again, "train", epoch) for epoch in range(60)]
    assert epochs != [shown(made, "train", epoch, 1) for epoch in range(60)]


def test_more_captions_than_there_are_begin_again_after_the_last(folder):
    made = drawing(folder, draw=12)
    for epoch in range(10):
        texts = shown(made, "train", epoch)
        assert set(texts[:5]) == set(texts[5:10]) == set(CAPTIONS) and len(set(texts[10:])) == 2
    assert shown(drawing(folder, "val", draw=12), "val", 3) == [*CAPTIONS, *CAPTIONS, *CAPTIONS[:2]]


def test_odds_among_columns(folder):
    long = {"long_caption": "caption"}
    made = drawing(folder, columns=long, draw=1, odds={"caption": 0.75, "long_caption": 0.25})
    drawn = [shown(made, "train", epoch)[0] for epoch in range(400)]
    assert 60 <= drawn.count(FURTHER["long_caption"]) <= 140 and set(drawn) == {FURTHER["long_caption"], *CAPTIONS}
    held = drawing(folder, "val", columns=long, draw=2, odds={"long_caption": 0.25, "caption": 0.75})
    assert shown(held, "val", 0) == [FURTHER["long_caption"]] * 2, "the first key, never drawn"
    both = drawing(folder, columns=long, draw=6, odds={"long_caption": 1000, "caption": 0.1})
    assert set(shown(both, "train", 0)) == {FURTHER["long_caption"], *CAPTIONS}, "all, before any comes again"


def test_sentences_are_cut_and_merged(folder):
    long = {"long_caption": "caption"}
    one, two, three = "A dog on the grass.", "It runs!", "Its ball is red."
    made = drawing(folder, columns=long, draw=3, odds={"long_caption": 1}, sentences=1)
    assert {frozenset(shown(made, "train", epoch)) for epoch in range(9)} == {frozenset((one, two, three))}
    merged = drawing(folder, columns=long, draw=1, odds={"long_caption": 1}, sentences=2)
    found = {shown(merged, "train", epoch)[0] for epoch in range(80)}
    assert found == {one, two, three, f"{one} {two}", f"{two} {three}"}
    held = drawing(folder, "val", columns=long, draw=1, odds={"long_caption": 1}, sentences=1)
    assert shown(held, "val", 0) == [FURTHER["long_caption"]], "held-out texts stay whole"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"captions": {"draw": 2, "odds": {"long": 1}}}, "captions.odds names 'long'"),
        ({"captions": {"draw": 2}, "columns": {"caption_2": "text"}}, "two columns would be called 'caption_2'"),
        ({"views": {"other": {}}, "columns": {"other": "image"}}, "would be called 'other'"),
        ({"captions": {"sentences": 2}, "columns": {"phrases": "phrases"}}, "of one whole caption"),
        ({"pictures": False, "columns": {"other": "image"}}, "without pictures"),
        ({"phrases": "p.json"}, "phrases point at instances"),
        ({"columns": {"things": "boxes", "masks": "names"}}, "'masks'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, why):
    with pytest.raises(ValidationError, match=why):
        Captions.Config(manifest="m.jsonl", **options)


def test_views_of_real_sizes(folder):
    views = {"second": {"crop": (0.5, 1.0)}, "local": {"size": 8, "count": 2}}
    made = source(written(folder, "jsonl"), {}, views=views)
    assert made.columns == Captions.described(made.config)
    sample = made.sample("train", 0, 0, 0)
    assert isinstance(sample, Sample)
    shapes = {name: tuple(sample.values[name].shape) for name in made.columns if name != "caption"}
    assert shapes == {"image": (3, 16, 16), "second": (3, 16, 16), "local_1": (3, 8, 8), "local_2": (3, 8, 8)}
    assert shapes == {name: spec.shape for name, spec in made.columns.items() if spec.kind == "picture"}
    again = made.sample("train", 0, 0, 0).values
    assert all(torch.equal(sample.values[name], again[name]) for name in shapes)
    assert not torch.equal(again["second"], made.sample("train", 0, 1, 0).values["second"])


def test_later_options_leave_the_digest_as_it_was(folder):
    first = source(written(folder, "jsonl"), {}).digest()
    assert source(written(folder, "jsonl"), {}, views={}, interpolation="bilinear").digest() == first
    assert source(written(folder, "jsonl"), {}, views={"second": {}}).digest() != first


def test_a_letterbox_shows_all_of_a_picture_on_its_mean_colour(folder):
    picture = torch.full((3, 10, 20), 255, dtype=torch.uint8)
    config = Captions.Config(manifest="m", image_size=20, resize="pad", mean=(0.2, 0.4, 0.6))
    made = Captions.framed(config, FieldSpec("picture", (3, 20, 20)), picture, 10**6)
    assert (made[:, 5:15] == 255).all()
    for rows in (made[:, :5], made[:, 15:]):
        assert (rows == torch.tensor([51, 102, 153])[:, None, None]).all()


def test_small_runs_show_views_and_texts_of_scenes(folder):
    views = {"second": {"flip": True, "transforms": [{"RandomGrayscale": {}}]}, "local": {"size": 8, "count": 2}}
    config = Captions.Config(manifest="none", image_size=16, views=views, captions={"draw": 3})
    small = config.tiny(32)
    scenes = Scenes(Scenes.Config.model_validate_json(json.dumps(small.options), strict=True))
    assert small.type == "scenes" and {"second", "local_1", "local_2", "caption_2", "caption_3"} <= set(scenes.columns)
    assert scenes.columns["second"].shape == (3, 32, 32) and scenes.columns["local_1"].shape == (3, 16, 16)
    assert "views" not in Captions.Config(manifest="none").tiny(32).options


def test_clips_have_columns_texts_and_views_too(folder):
    (folder / "clip").mkdir()
    for number in range(4):
        shutil.copy(folder / "a.png", folder / "clip" / f"{number}.png")
    row = {"video": "clip", "caption": ["one clip", "the same clip"], "label": "play", "long": "It is long. It ends."}
    (folder / "clips.jsonl").write_text(json.dumps(row | {"split": "train"}), encoding="utf-8")
    options = {
        "columns": {"label": "class", "long": "caption"},
        "captions": {"draw": 2, "odds": {"caption": 1, "long": 1}, "sentences": 1},
        "views": {"second": {"size": 8, "transforms": [{"RandAugment": None}]}},
    }
    made = VideoCaptions(VideoCaptions.Config(manifest=str(folder / "clips.jsonl"), image_size=16, frames=3, **options))
    assert made.columns == VideoCaptions.described(made.config)
    assert list(made.columns) == ["clip", "caption", "caption_2", "second", "label", "long"]
    values = [made.sample("train", 0, epoch, 0).values for epoch in range(20)]
    shown = {one[name] for one in values for name in ("caption", "caption_2")}
    assert shown == {"one clip", "the same clip", "It is long.", "It ends."}
    assert values[0]["second"].shape == (3, 3, 8, 8) and values[0]["label"] == "play"
    frames = values[0]["second"]
    assert torch.equal(frames[0], frames[1]) and torch.equal(frames[0], frames[2]), "alike frames are changed alike"
    with pytest.raises(ValidationError, match="of clips cannot be boxes"):
        VideoCaptions.Config(manifest="m", columns={"things": "boxes"})
    plain = VideoCaptions(VideoCaptions.Config(manifest=str(folder / "clips.jsonl"), image_size=16))
    assert made.digest() != plain.digest()
