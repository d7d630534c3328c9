"""The collection of broken and odd files: each entry of its manifest meets what the manifest expects."""

import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from vlobj_data.captions.captions import Captions
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives import Sample, UnusableSample

HOSTILE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "hostile"
CARRIED = Path(__file__).resolve().parents[1] / "data_files" / "hostile"  # its manifests: see test_hostile_manifests
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


def source(manifest: Path, images: Path = HOSTILE, **more) -> Captions:
    return Captions(Captions.Config(manifest=str(manifest), images=str(images), hold_out={}, image_size=32, **more))


def test_every_entry_of_these_forms_has_a_test():
    others = {entry["file"].split("/")[0] for entry in ENTRIES if entry not in PICTURES}
    assert others == {"captions", "shards", "videos"}, "shards belong to another source"
    carried = {f"captions/{file.name}" for file in CARRIED.iterdir()} | {"captions/very_long.jsonl"}
    assert carried == {entry["file"] for entry in ENTRIES if (entry["file"] or "").startswith("captions/")}


@pytest.mark.parametrize("entry", PICTURES, ids=[entry["file"] or entry["make"]["name"] for entry in PICTURES])
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


@pytest.mark.parametrize("entry", CLIPS, ids=[entry["file"] for entry in CLIPS])
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
