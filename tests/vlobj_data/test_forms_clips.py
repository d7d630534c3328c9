"""Files of clips as their sets give them out: MSR-VTT's three, MSVD's, WebVid's, JSON lines."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives import UnusableSample
from vlobjectives.errors import DataError

BENCH = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "bench"
VIDEO = BENCH / "video"
real = pytest.mark.skipif(not VIDEO.exists(), reason=f"no shared data at {VIDEO}")


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory) -> Path:
    """Clips under their sets' own names, beside files as the sets give them out."""
    folder = tmp_path_factory.mktemp("clips")
    shutil.copytree(VIDEO, folder, dirs_exist_ok=True)
    for line in (BENCH / "names.tsv").read_text("utf-8").splitlines():
        name, file = line.split("\t")
        if name.split("/")[0] in ("msrvtt", "msvd", "webvid"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            os.symlink((BENCH / file).resolve(), folder / name)
    return folder


def source(folder: Path, manifest, videos: str, **options) -> VideoCaptions:
    def path(name):
        return str(folder / name)

    manifest = {split: path(name) for split, name in manifest.items()} if isinstance(manifest, dict) else path(manifest)
    lists = {split: path(name) for split, name in options.pop("lists", {}).items()}
    return VideoCaptions(
        VideoCaptions.Config(
            manifest=manifest, lists=lists, videos=path(videos), image_size=8, frames=2, links=True, **options
        )
    )


def sizes(made):
    return tuple(made.size(split) for split in ("train", "val", "test"))


def sound(made) -> bool:
    """Whether every clip is there; a few are decoded."""
    shown = [made.sample(split, 0, 0, 0) for split in ("train", "val", "test") if made.size(split)]
    return not [one for one in made.problems(thorough=True) if not one.problem.note] and not any(
        isinstance(one, UnusableSample) for one in shown
    )


@real
def test_msrvtt(laid_out):
    folder = laid_out / "msrvtt"
    own = source(
        folder, "MSRVTT_data.json", "videos/all", splits={"train": ["train"], "val": ["validate"], "test": ["test"]}
    )
    assert sum(sizes(own)) == 30 and sound(own)
    lists = {"train": "MSRVTT_train.9k.csv", "test": "MSRVTT_JSFUSION_test.csv"}
    joined = source(folder, "MSRVTT_data.json", "videos/all", lists=lists)
    assert sizes(joined) == (18, 0, 4) and sound(joined)
    assert joined.value("test", 0, "caption", 0, 0) == "a white cockatoo walks up to the camera and pecks at it"
    alone = source(folder, {"train": "MSRVTT_JSFUSION_test.csv"}, "videos/all")
    assert alone.size("train") == 4 and sound(alone)


@real
def test_ids_alone_are_refused_with_the_lines_that_join_them(laid_out):
    with pytest.raises(DataError, match="lists ids alone") as caught:
        source(laid_out / "msrvtt", "MSRVTT_train.9k.csv", "videos/all")
    assert "data.lists: {train: MSRVTT_train.9k.csv" in caught.value.hint


@real
@pytest.mark.parametrize("manifest", ["raw-captions.pkl", "MSR Video Description Corpus.csv"])
def test_msvd(laid_out, manifest):
    made = source(laid_out / "msvd", manifest, "YouTubeClips")
    assert sizes(made) == (18, 6, 6) and sound(made), "lists beside it, clips that end in .avi"
    assert made.value("train", 0, "caption", 0, 0).lower().startswith("a red flower bud slowly opens into full bloom")


@real
@pytest.mark.parametrize("videos", ["webvid/videos", "webvid/videos/000001_000050"])
def test_webvid(laid_out, videos):
    made = source(laid_out, {"train": "webvid/results_2M_train.csv", "val": "webvid/results_2M_val.csv"}, videos)
    assert sizes(made)[:2] == (6, 4) and sound(made), "page_dir joined, or left off"


@real
def test_blips_lines(laid_out):
    rows = [{"clip_name": f"video{at}", "caption": "x", "video": f"video{at}.mp4"} for at in (0, 1)]
    (laid_out / "blip.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    made = source(laid_out, {"train": "blip.jsonl"}, "msrvtt/videos/all")
    assert made.size("train") == 2 and sound(made)


class Runs:
    """What runs code where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_runs_nothing(tmp_path, protocol):
    trap = tmp_path / "made"
    for held, what in (({"a": Runs(str(trap))}, "holds more than texts"), ([1], "does not hold clips")):
        (tmp_path / "raw-captions.pkl").write_bytes(pickle.dumps(held, protocol))
        with pytest.raises(DataError, match=what) as caught:
            source(tmp_path, "raw-captions.pkl", ".")
        assert "JSON lines" in caught.value.hint and not trap.exists()
    whole = pickle.dumps({"a": [["a", "dog"]]}, protocol)
    (tmp_path / "raw-captions.pkl").write_bytes(whole[:-3])
    with pytest.raises(DataError, match="is damaged"):
        source(tmp_path, "raw-captions.pkl", ".")
    (tmp_path / "raw-captions.pkl").write_bytes(whole)
    assert source(tmp_path, "raw-captions.pkl", ".", hold_out={}).value("train", 0, "caption", 0, 0) == "a dog"


def test_other_languages_of_msvd_are_left_out_with_a_note(tmp_path):
    header = "VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description\n"
    rows = 'x,1,2,0,clean,0,English,a dog\nx,1,2,0,clean,0,German,"ein Hund, braun"\n'
    (tmp_path / "corpus.csv").write_text(header + rows, encoding="utf-8")
    made = source(tmp_path, "corpus.csv", ".", hold_out={})
    notes = [one for one in made.problems() if one.problem.note]
    assert made.size("train") == 1 and ["not in English" in one for one in notes] == [True]
