"""What lies where in a picture: objects of records, COCO's instances, phrases of captions, through every framing."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from vlobj_data.captions.captions import Captions
from vlobj_glscl.alignment import Alignment
from vlobj_mvptr.grounding import Grounding

from vlobjectives import UnusableSample
from vlobjectives.data.data_module import build_data
from vlobjectives.errors import DataError
from vlobjectives.evaluation.context import SplitContext
from vlobjectives.recipe.loading import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

COCO = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions" / "coco"
HIGH, WIDE = 60, 90
CAPTION = "a red square beside a green square"


def runs(mask: np.ndarray) -> dict:
    """COCO's run lengths, not compressed."""
    counts, last, length = [], False, 0
    for pixel in mask.T.ravel().tolist():
        if pixel != last:
            counts.append(length)
            last, length = pixel, 0
        length += 1
    return {"size": list(mask.shape), "counts": [*counts, length]}


def painted(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """A picture of two squares on black; the pixels of each."""
    red, green = np.zeros((2, HIGH, WIDE), dtype=bool)
    red[10:30, 20:45], green[25:55, 60:80] = True, True
    Image.fromarray((np.stack([red, green, red & ~red], -1) * 255).astype(np.uint8)).save(folder / "a.png")
    return red, green


def corners(mask: np.ndarray) -> list[int]:
    rows, columns = np.nonzero(mask)
    return [int(edge) for edge in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


def written(folder: Path, how: str) -> Path:
    red, green = painted(folder)
    (x1, y1, x2, y2), other = corners(red), corners(green)
    ring = [x1, y1, x2 - 1, y1, x2 - 1, y2 - 1, x1, y2 - 1]
    objects = {
        "boxes": [{"text": "red square", "bbox": [x1, y1, x2 - x1, y2 - y1]}, {"text": "green square", "xyxy": other}],
        "runs": [
            {"text": "red square", "xyxy": corners(red), "segmentation": runs(red)},
            {"text": "green square", "xyxy": other, "segmentation": runs(green)},
        ],
        "halves": [
            {"text": "red square", "xyxy": [edge / 2 for edge in corners(red)], "size": [WIDE / 2, HIGH / 2]},
            {"text": "green square", "xyxy": [edge / 2 for edge in other], "size": [WIDE / 2, HIGH / 2]},
        ],
        "polygons": [
            {"text": "red square", "xyxy": corners(red), "segmentation": [ring]},
            {"text": "green square", "xyxy": other, "segmentation": runs(green)},
        ],
    }[how]
    path = folder / "m.jsonl"
    row = {"image": "a.png", "caption": CAPTION, "split": "train", "things": objects}
    path.write_text(json.dumps(row), encoding="utf-8")
    return path


def source(path: Path, **options) -> Captions:
    options = {"image_size": 72, "interpolation": "nearest", "hold_out": {}, "columns": {"things": "boxes"}} | options
    return Captions(Captions.Config(manifest=str(path), **options))


@pytest.mark.parametrize("how", ["boxes", "runs", "halves", "polygons"])
@pytest.mark.parametrize(
    "options",
    [
        {"resize": "squash"},
        {"resize": "crop"},
        {"resize": "pad", "mean": (0.0, 0.0, 0.0)},
        {"augment": "crop", "flip": True, "scale": (0.4, 1)},
    ],
)
def test_boxes_and_masks_lie_where_the_picture_shows_them(tmp_path, how, options):
    made = source(written(tmp_path, how), **options)
    assert "regions" in made.can and made.columns == Captions.described(made.config)
    for epoch in range(8 if "augment" in options else 1):
        values = made.sample("train", 0, epoch, 3).values
        picture = values["image"].numpy() > 127
        assert [named.text for named in values["phrases"]] == [named.text for named in values["things"]]
        assert values["masks"].shape == (len(values["phrases"]), 72, 72) and values["boxes"].dtype == np.float32
        for phrase, box, mask in zip(values["phrases"], values["boxes"], values["masks"], strict=True):
            assert CAPTION[phrase.first : phrase.end] == phrase.text
            shown = picture[0 if "red" in phrase.text else 1]
            slack = 3 * 4 * 26 if how == "polygons" else 2 * 4 * 26  # a pixel more or less at the four edges
            assert abs(box - corners(shown)).max() <= 1.5 and (mask ^ shown).sum() <= slack
            assert (mask & shown).sum() > 0.8 * shown.sum()


def test_what_is_cut_off_is_no_region(tmp_path):
    values = source(written(tmp_path, "boxes"), augment="crop", scale=(0.05, 0.06)).sample("train", 0, 1, 0).values
    seen = [bool((values["image"][channel] > 127).any()) for channel in (0, 1)]
    assert len(values["phrases"]) == len(values["boxes"]) == len(values["masks"]) == sum(seen) < 2


def test_a_phrase_of_several_things_has_the_box_around_them_and_their_pixels(tmp_path):
    path = written(tmp_path, "boxes")
    row = json.loads(path.read_text(encoding="utf-8"))
    row |= {"caption": "Squares", "things": [one | {"text": "square"} for one in row["things"]]}
    path.write_text(json.dumps(row), encoding="utf-8")
    values = source(path, resize="squash").sample("train", 0, 0, 0).values
    assert [phrase.text for phrase in values["phrases"]] == ["squares"], "a plural speaks of them too"
    assert values["boxes"].round().tolist() == [[16, 12, 64, 66]]
    assert abs(int(values["masks"].sum()) - int((values["image"] > 127).sum())) < 200


@pytest.mark.parametrize(
    ("thing", "why"),
    [
        ("a dog", "is a text, no mapping of text and bbox"),
        ({"bbox": [1, 2, 3, 4]}, "has no text"),
        ({"text": "x"}, "needs a bbox"),
        ({"text": "x", "bbox": [1, 2, 3]}, "not four finite numbers"),
        ({"text": "x", "xyxy": [5, 5, 1, 9]}, "ends before it begins"),
        ({"text": "x", "bbox": [1, 2, 3, 4], "segmentation": [[1, 2, 3]]}, "not polygons"),
        (
            {"text": "x", "bbox": [1, 2, 3, 4], "segmentation": {"size": [2, 2], "counts": "a0"}},
            "compressed run lengths",
        ),
        ({"text": "x", "bbox": [1, 2, 3, 4], "segmentation": {"size": [2, 2], "counts": [1, 2]}}, "do not sum"),
        ({"text": "x", "bbox": [1, 2, 3, 4], "span": [4, 2]}, "span"),
    ],
)
def test_broken_objects_are_bad_samples_that_say_which(tmp_path, thing, why):
    path = written(tmp_path, "boxes")
    row = json.loads(path.read_text(encoding="utf-8"))
    row["things"].append(thing)
    path.write_text(json.dumps(row), encoding="utf-8")
    found = source(path).sample("train", 0, 0, 0)
    assert isinstance(found, UnusableSample) and "things: object 3" in found.reason and why in found.reason


def joined(tmp_path: Path, phrases=None, **changes) -> Captions:
    path = written(tmp_path, "boxes")
    instances = {
        "images": [{"id": 7, "file_name": "a.png", "width": WIDE, "height": HIGH}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 3, "bbox": [20, 10, 25, 20], "segmentation": []}],
        "categories": [{"id": 3, "name": "square"}],
    } | changes
    (tmp_path / "i.json").write_text(json.dumps(instances), encoding="utf-8")
    options = {"instances": str(tmp_path / "i.json"), "columns": {}, "resize": "squash"}
    if phrases is not None:
        (tmp_path / "p.json").write_text(json.dumps({"phrases": phrases}), encoding="utf-8")
        options["phrases"] = str(tmp_path / "p.json")
    return source(path, **options)


def test_instances_and_phrases_are_joined_by_the_files_name(tmp_path):
    by_name = joined(tmp_path)
    values = by_name.sample("train", 0, 0, 0).values
    assert [phrase.text for phrase in values["phrases"]] == ["square", "square"], "wherever the name stands"
    phrase = {"image_id": 7, "phrase": "red square", "char_span": [2, 12], "ann_ids": [1]}
    pointed = joined(tmp_path, [phrase, phrase | {"char_span": [3, 13]}])
    values = pointed.sample("train", 0, 0, 0).values
    assert [tuple(phrase) for phrase in values["phrases"]] == [("red square", 2, 12)]
    assert values["boxes"].tolist() == [[16, 12, 36, 36]] and values["masks"][0, 12:36, 16:36].all()
    assert any("1 regions are of phrases that no caption" in line for line in pointed.problems())
    assert len({by_name.digest(), pointed.digest(), joined(tmp_path, [phrase]).digest()}) == 3


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"categories": None}, "no list of objects under 'categories'"),
        ({"annotations": [{"id": 1, "image_id": 8, "category_id": 3}]}, "annotation 1 is of the image 8"),
        (
            {"images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "b/a.png"}]},
            "two images are called",
        ),
        ({"images": [{"id": [], "file_name": "a.png"}]}, "entry 1 of 'images' has an id"),
    ],
)
def test_files_that_are_no_instances_are_refused(tmp_path, changes, why):
    with pytest.raises(DataError, match=why):
        joined(tmp_path, **changes)


SPLITS = {"train": 80, "test": 32}
DATA = """
data:
  type: captions
  manifest: {rows}
  images: {coco}
  instances: {coco}/instances_coco_small.json
  phrases: {coco}/phrases_coco_small.json
  captions: one
  image_size: 32
  batch: 16
"""
TEXT = """
  text:
    type: hf_text
    config: {model_type: roberta-prelayernorm, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2,
             intermediate_size: 16, hidden_dropout_prob: 0.0, attention_probs_dropout_prob: 0.0}
  joint: {type: projection, width: 16}
"""
ALIGNED = (
    DATA
    + """
fields: {caption: {type: byte_pair, size: 400, length: 40}}
model:
  vision: {type: timm_vision, patch: 4, width: 16, depth: 1, heads: 2}
  fusion: {type: co_attention, width: 16, depth: 1, heads: 2}"""
    + TEXT
    + """
pairings: {others: {type: random_negatives}}
objectives: {itm: {negatives: others}}
optim: {lr: 1e-3}
run: {steps: 1}
"""
)
GROUNDED = (
    DATA
    + """
fields:
  caption: {type: byte_pair, size: 400, length: 40}
  concept: {type: phrases, of: caption, with: caption, least: 2, size: 800, length: 8}
inputs: {text: {fields: [caption, concept], part: text}}
model:
  vision: {type: timm_vision, patch: 4, width: 16, depth: 1, heads: 2}
  fusion: {type: merged_attention, width: 16, depth: 1, heads: 2, norm: pre, classes: false}"""
    + TEXT
    + """
pairings: {others: {type: random_negatives}}
objectives: {wpg: {phrases: concept, mode: reencoded, negatives: others}}
optim: {lr: 1e-3}
run: {steps: 1}
"""
)


def held(folder: Path, recipe: str) -> SplitContext:
    if not COCO.exists():
        pytest.skip("the real photos are not here")
    with (COCO / "manifest_coco_small.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    taken = {split: list(dict.fromkeys(row["image"] for row in rows if row["split"] == split)) for split in SPLITS}
    files = {name for split, count in SPLITS.items() for name in taken[split][:count]}
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["image"] in files)
    text = recipe.replace("{coco}", str(COCO)).replace("{rows}", str(folder / "rows.csv"))
    (folder / "r.yaml").write_text(text, encoding="utf-8")
    resolved = resolve(load(folder / "r.yaml"), Registry())
    made = build_data(resolved)
    made.fields.fit(
        lambda column: [made.source.value("train", number, column, 0, 0) for number in range(made.source.size("train"))]
    )
    system = assemble.system(resolved, made).eval()
    return SplitContext(system, made.source, made.fields, "test", 0, 16, torch.device("cpu"))


def test_alignment_of_real_pictures(tmp_path):
    scores = Alignment(Alignment.Config()).run(held(tmp_path, ALIGNED))
    assert set(scores) == {"global/box", "global/pixel", "local/box", "local/pixel"}
    for score in scores.values():
        assert 12 <= score.n <= 32 and 0.02 < score.chance < 0.8 and abs(score.value - score.chance) < 0.1
    assert scores["global/pixel"].chance < scores["global/box"].chance


def test_grounding_of_real_pictures(tmp_path):
    (score,) = Grounding(Grounding.Config()).run(held(tmp_path, GROUNDED)).values()
    assert 12 <= score.n <= 32 and 0.1 < score.chance < 0.8 and 0 <= score.value <= 1
