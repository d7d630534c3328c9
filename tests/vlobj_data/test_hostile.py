"""The collection of broken and odd files: each entry of its manifest meets what the manifest expects."""

import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from vlobj_data.byte_pair import BytePair
from vlobj_data.captions.captions import Captions
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives import Sample, UnusableSample
from vlobjectives.errors import DataError

HOSTILE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "hostile"
pytestmark = pytest.mark.skipif(not HOSTILE.is_dir(), reason=f"no collection at {HOSTILE}")
LINES = (HOSTILE / "manifest.jsonl").read_text(encoding="utf-8").splitlines() if HOSTILE.is_dir() else []
ENTRIES = [json.loads(line) for line in LINES]
CLIPS = [entry for entry in ENTRIES if (entry["file"] or "").startswith("videos/")]
PICTURES = [entry for entry in ENTRIES if (entry["file"] or "images/").startswith("images/")]

AS_REFERENCE = {  # file -> mean absolute difference allowed, of 255
    **{f"images/exif_orientation_{number}.jpg": 6 for number in range(1, 9)},
    "images/reference.png": 0,
    "images/cmyk.jpg": 8,
    "images/progressive.jpg": 6,
    "images/photo.bmp": 0,
    "images/trailing_garbage.jpg": 6,
    "images/png_named.jpg": 0,
    "images/jpeg_named.png": 6,
    "images/NO_EXTENSION": 6,
    "images/UPPER.JPEG": 6,
    "images/animated.png": 0,
    "images/animated.gif": 12,
    "images/animated.webp": 8,
    "images/lossy.webp": 8,
}

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


def source(manifest: Path, images: Path = HOSTILE, **more) -> Captions:
    return Captions(Captions.Config(manifest=str(manifest), images=str(images), hold_out={}, image_size=32, **more))


def all_of(made: Captions, split: str = "train") -> list[Sample | UnusableSample]:
    return [made.sample(split, number, 0, 0) for number in range(made.size(split))]


def bad(made: Captions) -> list[str]:
    return [sample.reason for sample in all_of(made) if isinstance(sample, UnusableSample)]


def test_every_entry_of_these_forms_has_a_test():
    others = {entry["file"].split("/")[0] for entry in ENTRIES if entry not in PICTURES}
    assert others == {"captions", "shards", "videos"}, "shards belong to another source"
    listed = [*OTHER_LAYOUTS, *BROKEN, *READ, *BY_SAMPLE]
    assert sorted(f"captions/{name}" for name in listed) == sorted(
        entry["file"] for entry in ENTRIES if (entry["file"] or "").startswith("captions/")
    )


@pytest.mark.parametrize("entry", PICTURES, ids=lambda entry: entry["file"] or entry["make"]["name"])
def test_picture(entry, tmp_path):
    folder, name = HOSTILE, entry["file"]
    if name is None:
        folder, name = tmp_path, entry["make"]["name"]
        if entry["make"]["how"] == "an empty folder":
            (tmp_path / name).mkdir()
        else:
            shutil.copy(HOSTILE / "images" / "jpeg_named.png", tmp_path / name)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({"image": name, "caption": "a caption"}, ensure_ascii=False), encoding="utf-8")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = source(manifest, folder, resize="squash").sample("train", 0, 0, 0)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 150, f"{grown:.0f} MiB more"
    if entry["expect"] == "reject" or isinstance(found, UnusableSample):
        assert entry["expect"] != "decode", found
        assert isinstance(found, UnusableSample) and name in found.reason and found.key == name
    else:
        assert found.values["image"].shape == (3, 32, 32) and found.values["image"].dtype == torch.uint8
        assert source(manifest, folder, resize="crop").sample("train", 0, 0, 0).values["image"].shape == (3, 32, 32)


@pytest.mark.parametrize(("name", "allowed"), AS_REFERENCE.items())
def test_picture_looks_like_the_reference(name, allowed):
    from vlobjectives.pictures import read_picture

    found, wanted = (read_picture(HOSTILE / path, 10**7).int() for path in (name, "images/reference.png"))
    assert found.shape == wanted.shape
    assert (found - wanted).abs().float().mean() <= allowed


def test_pictures_of_odd_depth():
    from vlobjectives.pictures import read_picture

    gray, onebit, dark, deep, half, palette = (
        read_picture(HOSTILE / "images" / name, 10**7)
        for name in (
            "gray16.png",
            "onebit.png",
            "i_trns.png",
            "rgb16.png",
            "rgba_half_transparent.png",
            "palette_transparency.png",
        )
    )
    ramp = gray[0].float().mean(0)
    assert ramp[0] < 4 and ramp[-1] > 251 and (ramp.diff() >= 0).all() and abs(ramp.mean() - 127.5) < 3
    assert set(onebit.unique().tolist()) == {0, 255}
    assert dark.max() <= 1
    assert len(deep.unique()) > 16
    assert (half[:, :, :64] == 255).all() and half[:, :, 64:].float().std() > 20
    reference = read_picture(HOSTILE / "images" / "reference.png", 10**7)
    assert (palette.int() - reference.int()).abs().float().median() < 12, "colours, not numbers of colours"


@pytest.mark.parametrize(("name", "says"), BROKEN.items())
def test_broken_manifest_stops_with_file_line_and_mend(name, says):
    with pytest.raises(DataError) as caught:
        source(HOSTILE / "captions" / name)
    assert caught.value.hint and all(word in str(caught.value) for word in says), str(caught.value)


@pytest.mark.parametrize("name", OTHER_LAYOUTS)
def test_other_layouts_are_refused(name):
    with pytest.raises(DataError, match=name):
        source(HOSTILE / "captions" / name)


@pytest.mark.parametrize(("name", "captions"), READ.items())
def test_odd_manifest_is_read(name, captions):
    assert [sample.values["caption"] for sample in all_of(source(HOSTILE / "captions" / name))] == captions


def test_missing_image():
    made = source(HOSTILE / "captions" / "missing_image.jsonl")
    assert [type(sample) for sample in all_of(made)] == [Sample, UnusableSample]
    assert "missing_image.jsonl:2: images/does_not_exist.jpg does not exist" in bad(made)[0]
    assert any("missing_image.jsonl:2" in line and "does_not_exist" in line for line in made.problems())


def test_paths_that_leave_the_root_and_urls():
    made = source(HOSTILE / "captions" / "path_traversal.jsonl")
    assert [type(sample) for sample in all_of(made)] == [UnusableSample, UnusableSample, Sample]
    assert all("relative to the folder" in reason for reason in bad(made)) and len(made.problems()) == 2
    assert "nothing is fetched" in bad(source(HOSTILE / "captions" / "url_image.jsonl"))[0]


def test_empty_captions_are_each_reported():
    made = source(HOSTILE / "captions" / "empty_captions.jsonl")
    reasons = bad(made)
    assert len(reasons) == made.size("train") == 5 == len(made.problems())
    for line, (reason, what) in enumerate(zip(reasons, ["empty"] * 2 + ["no caption"] * 3), 1):
        assert f"empty_captions.jsonl:{line}: " in reason and what in reason


def test_wrong_types_say_what_was_wanted():
    reasons = bad(source(HOSTILE / "captions" / "wrong_types.jsonl"))
    assert [reason.split(".jsonl:")[1] for reason in reasons] == [
        "1: a number where the picture's file name should be",
        "2: a number where a caption should be",
        "3: an object where a caption should be",
        "4: a list where an object with image and caption should be",
        "5: a text where an object with image and caption should be",
    ]


def test_half_a_surrogate_pair():
    assert "surrogate" in bad(source(HOSTILE / "captions" / "lone_surrogate.jsonl"))[0]


@pytest.mark.parametrize(
    ("name", "count"), [("unicode.jsonl", 10), ("very_long.jsonl", 2), ("special_tokens.jsonl", 3)]
)
def test_odd_captions_reach_the_pieces(name, count):
    captions = [sample.values["caption"] for sample in all_of(source(HOSTILE / "captions" / name))]
    assert len(captions) == count
    reader = BytePair(BytePair.Config(size=400, length=34))
    reader.fit(captions if name != "very_long.jsonl" else ["a word"])
    for caption in captions:
        pieces = reader.read(caption)
        assert 0 < len(pieces.ids) < 34 * 40 and min(pieces.ids) > max(reader.spec.special.values())


def test_karpathy_splits():
    made = source(HOSTILE / "captions" / "karpathy_odd_splits.json", HOSTILE / "images")
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
def test_coco(name, captions, why):
    made = source(HOSTILE / "captions" / name, HOSTILE / "images")
    assert [sample.values["caption"] for sample in all_of(made) if isinstance(sample, Sample)] == captions
    assert [why in reason for reason in bad(made)] == [True]


def test_a_file_in_two_splits_is_a_problem():
    made = source(HOSTILE / "captions" / "split_leak.json", HOSTILE / "images")
    assert ["reference.png is in 'train' and in 'test'" in line for line in made.problems()] == [True]
    assert made.sample("train", 0, 0, 0).same == made.sample("test", 0, 0, 0).same


def clips(manifest: Path, folder: Path = HOSTILE, frames: int = 4, size: int = 32) -> VideoCaptions:
    return VideoCaptions(
        VideoCaptions.Config(
            manifest=str(manifest),
            videos=str(folder),
            hold_out={},
            image_size=size,
            frames=frames,
            sampling="uniform",
            resize="squash",
        )
    )


def clip(tmp_path: Path, name: str, **more) -> Sample | UnusableSample:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({"video": name, "caption": "a caption"}), encoding="utf-8")
    return clips(manifest, **more).sample("train", 0, 0, 0)


@pytest.mark.parametrize("entry", CLIPS, ids=lambda entry: entry["file"])
def test_clip(entry, tmp_path):
    found = clip(tmp_path, entry["file"])
    if entry["expect"] == "reject":
        assert isinstance(found, UnusableSample) and entry["file"] in found.reason and found.key == entry["file"]
    else:
        assert isinstance(found, Sample), found
        assert found.values["clip"].shape == (4, 3, 32, 32) and found.values["clip"].dtype == torch.uint8


def test_frames_are_those_of_the_sampler(tmp_path):
    """Frame k of the film shows k: neighbours in the sample are neighbours in the film, and a whole film is all."""
    whole = clip(tmp_path, "videos/h265.mp4", frames=10, size=128).values["clip"]
    some = clip(tmp_path, "videos/h265.mp4", frames=5, size=128).values["clip"]
    assert torch.equal(some, whole[1::2]) and len({frame.numpy().tobytes() for frame in whole}) == 10


def test_one_frame_is_shown_again(tmp_path):
    found = clip(tmp_path, "videos/one_frame.gif").values["clip"]
    assert all(torch.equal(frame, found[0]) for frame in found)


def test_rotation_is_applied(tmp_path):
    """A film that is to be turned by 90 degrees is higher than wide, as its frames are not."""
    from vlobj_data.videos.clips import read_clip

    turned = read_clip(HOSTILE / "videos" / "video_90.mov", lambda count: [0], 10**7)
    upright = read_clip(HOSTILE / "videos" / "video_180.mov", lambda count: [0], 10**7)
    assert turned.shape == (1, 3, 568, 320) and upright.shape == (1, 3, 320, 568)


def test_a_sentence_for_a_clip_that_is_not_listed():
    made = clips(HOSTILE / "captions" / "msrvtt_dangling.json")
    reasons = [made.sample("train", number, 0, 0).reason for number in range(made.size("train"))]
    assert len(reasons) == len(made.problems()) == 2
    assert "'video7', which is not listed" in reasons[0] and "no caption" in reasons[1]
