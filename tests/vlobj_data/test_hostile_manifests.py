"""Broken and odd manifests, carried in data_files/hostile: each meets what is expected of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from vlobj_data.byte_pair import BytePair
from vlobj_data.captions.captions import Captions
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives import Sample, UnusableSample
from vlobjectives.errors import DataError

CARRIED = Path(__file__).resolve().parents[1] / "data_files" / "hostile"

# Of other forms than this source reads; it refuses each (`test_other_layouts_are_refused`).
OTHER_LAYOUTS = ["coco_bad_boxes.json", "msrvtt_dangling.json"]
BROKEN = {  # manifests that stop at once -> what the message must hold
    "invalid_utf8.csv": ["invalid_utf8.csv:2", "0xe9 is not UTF-8"],
    "invalid_utf8.jsonl": ["invalid_utf8.jsonl:1", "0xff is not UTF-8"],
    "utf16.csv": ["utf16.csv", "UTF-16"],
    "unbalanced_quote.csv": ["unbalanced_quote.csv:2", "quotes"],
    "ragged.csv": ["ragged.csv:2", "2 rows", "line 2: 1", "line 3: 5"],
    "missing_column.csv": ["missing_column.csv:1", "picture, text", "image, filename", "caption, captions"],
    "header_only.csv": ["header_only.csv", "no records"],
    "empty.jsonl": ["empty.jsonl", "no records"],
    "nul_bytes.csv": ["nul_bytes.csv:2", "NUL"],
    "broken_line.jsonl": ["broken_line.jsonl:2", "not JSON"],
    "truncated.json": ["truncated.json:1", "not JSON"],
    "nan.json": ["nan.json:1", "NaN"],
    "coco_duplicate_ids.json": ["coco_duplicate_ids.json, entry 2", "two images have the id 1"],
    "coco_duplicate_keys.json": ["coco_duplicate_keys.json:1", "key 'images' twice"],
}
READ = {  # manifests that are read -> captions, in order
    "utf8_bom.csv": ["a caption after a byte order mark"],
    "utf8_bom.json": ["a caption"],
    "crlf_quotes_newlines.csv": ['a sign that says "STOP", and\r\na second line', "commas, here, and there"],
    "blank_lines.jsonl": ["a caption", "another"],
    "line_separator.jsonl": ["one\u2028two\u0085three"],
}
BY_SAMPLE = [
    "missing_image.jsonl",
    "path_traversal.jsonl",
    "url_image.jsonl",
    "empty_captions.jsonl",
    "wrong_types.jsonl",
    "unicode.jsonl",
    "lone_surrogate.jsonl",
    "very_long.jsonl",
    "special_tokens.jsonl",
    "karpathy_odd_splits.json",
    "split_leak.json",
    "coco_dangling.json",
    "coco_no_captions.json",
]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    """The manifests, one of captions too long to carry, and the pictures that they name."""
    folder = tmp_path_factory.mktemp("hostile")
    shutil.copytree(CARRIED, folder / "captions")
    (folder / "images").mkdir()
    for name in ("reference.png", "gray.jpg", "progressive.jpg", "cmyk.jpg"):
        noise = np.random.default_rng(len(name)).integers(0, 256, (96, 128, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / "images" / name)
    rows = [("reference.png", "word " * 40000), ("gray.jpg", "x" * 100000)]
    (folder / "captions" / "very_long.jsonl").write_text(
        "".join(json.dumps({"image": f"images/{name}", "caption": text}) + "\n" for name, text in rows),
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="module")
def source(hostile):
    """`source(name, folder="")`: the captions of a manifest, with pictures in a folder of the collection."""

    def made(name: str, folder: str = "") -> Captions:
        manifest = str(hostile / "captions" / name)
        return Captions(Captions.Config(manifest=manifest, images=str(hostile / folder), hold_out={}, image_size=32))

    return made


def all_of(made: Captions, split: str = "train") -> list[Sample | UnusableSample]:
    return [made.sample(split, number, 0, 0) for number in range(made.size(split))]


def bad(made: Captions) -> list[str]:
    return [sample.reason for sample in all_of(made) if isinstance(sample, UnusableSample)]


def test_every_manifest_has_a_test():
    assert {*OTHER_LAYOUTS, *BROKEN, *READ, *BY_SAMPLE} == {file.name for file in CARRIED.iterdir()} | {
        "very_long.jsonl"
    }


@pytest.mark.parametrize(("name", "says"), BROKEN.items())
def test_broken_manifest_stops_with_file_line_and_hint(source, name, says):
    with pytest.raises(DataError) as caught:
        source(name)
    assert caught.value.hint and all(word in str(caught.value) for word in says), str(caught.value)


@pytest.mark.parametrize("name", OTHER_LAYOUTS)
def test_other_layouts_are_refused(source, name):
    with pytest.raises(DataError, match=name):
        source(name)


@pytest.mark.parametrize(("name", "captions"), READ.items())
def test_odd_manifest_is_read(source, name, captions):
    assert [sample.values["caption"] for sample in all_of(source(name))] == captions


def test_missing_image(source):
    made = source("missing_image.jsonl")
    assert [type(sample) for sample in all_of(made)] == [Sample, UnusableSample]
    assert "missing_image.jsonl:2: images/does_not_exist.jpg does not exist" in bad(made)[0]
    assert any("missing_image.jsonl:2" in line and "does_not_exist" in line for line in made.problems())


def test_paths_that_leave_the_root_and_urls(source):
    made = source("path_traversal.jsonl")
    assert [type(sample) for sample in all_of(made)] == [UnusableSample, UnusableSample, Sample]
    assert all("relative to the folder" in reason for reason in bad(made)) and len(made.problems()) == 2
    assert "nothing is fetched" in bad(source("url_image.jsonl"))[0]


def test_empty_captions_are_each_reported(source):
    made = source("empty_captions.jsonl")
    reasons = bad(made)
    assert len(reasons) == made.size("train") == 5 == len(made.problems())
    for line, (reason, what) in enumerate(zip(reasons, ["empty"] * 2 + ["no caption"] * 3), 1):
        assert f"empty_captions.jsonl:{line}: " in reason and what in reason


def test_wrong_types_say_what_was_wanted(source):
    reasons = bad(source("wrong_types.jsonl"))
    assert [reason.split(".jsonl:")[1] for reason in reasons] == [
        "1: a number where the picture's file name should be",
        "2: a number where a caption should be",
        "3: an object where a caption should be",
        "4: a list where an object with image and caption should be",
        "5: a text where an object with image and caption should be",
    ]


def test_half_a_surrogate_pair(source):
    assert "surrogate" in bad(source("lone_surrogate.jsonl"))[0]


@pytest.mark.parametrize(
    ("name", "count"), [("unicode.jsonl", 10), ("very_long.jsonl", 2), ("special_tokens.jsonl", 3)]
)
def test_odd_captions_reach_the_pieces(source, name, count):
    captions = [sample.values["caption"] for sample in all_of(source(name))]
    assert len(captions) == count
    reader = BytePair(BytePair.Config(size=400, length=34))
    reader.fit(captions if name != "very_long.jsonl" else ["a word"])
    for caption in captions:
        pieces = reader.read(caption)
        assert 0 < len(pieces.ids) < 34 * 40 and min(pieces.ids) > max(reader.spec.special.values())


def test_karpathy_splits(source):
    made = source("karpathy_odd_splits.json", "images")
    assert [sample.values["caption"] for sample in all_of(made)] == ["a restval image"]
    assert isinstance(made.sample("test", 0, 0, 0), UnusableSample)
    said = "\n".join(made.problems())
    for what in ("2 records are left out: holdout (1), no split (1)", "entry 4  no caption"):
        assert what in said


@pytest.mark.parametrize(
    ("name", "captions", "why"),
    [
        ("coco_dangling.json", ["good"], "annotation 2 is for the image 999, which is not listed"),
        ("coco_no_captions.json", ["a"], "entry 2: no caption"),
    ],
)
def test_coco(source, name, captions, why):
    made = source(name, "images")
    assert [sample.values["caption"] for sample in all_of(made) if isinstance(sample, Sample)] == captions
    assert [why in reason for reason in bad(made)] == [True]


def test_a_file_in_two_splits_is_a_problem(source):
    made = source("split_leak.json", "images")
    assert ["reference.png is in 'train' and in 'test'" in line for line in made.problems()] == [True]
    assert made.sample("train", 0, 0, 0).same == made.sample("test", 0, 0, 0).same


def test_a_sentence_for_a_clip_that_is_not_listed(hostile):
    manifest = str(hostile / "captions" / "msrvtt_dangling.json")
    made = VideoCaptions(
        VideoCaptions.Config(manifest=manifest, videos=str(hostile), hold_out={}, image_size=32, frames=4)
    )
    reasons = [made.sample("train", number, 0, 0).reason for number in range(made.size("train"))]
    assert len(reasons) == len(made.problems()) == 2
    assert "'video7', which is not listed" in reasons[0] and "no caption" in reasons[1]
