"""`vlobj caption`: captions of files by a run's decoder, and what is wrong with what people name."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_recipes import SMALL, vlobj

PHOTOS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "captions" / "flickr8k" / "images"


def trained(folder: Path, text: str) -> Path:
    """A run of one step."""
    from vlobjectives.cli import main

    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    assert (
        main(["run", str(folder / "recipe.yaml"), "--out", str(folder / "run"), "run.steps=1", "evaluate.losses=false"])
        == 0
    )
    return folder / "run"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One that learned to write, a little."""
    return trained(
        tmp_path_factory.mktemp("coca"),
        SMALL[: SMALL.index("  text:")]
        + """\
  text: {type: causal_text, width: 32, depth: 1, heads: 2}
  captioner: {type: cross_decoder, query: text, memory: vision, causal: true, width: 32, depth: 1, heads: 2}
  words: {type: vocabulary_head, of: captioner}
objectives: {ic: {}}
optim: {lr: 1e-3}
run: {steps: 4, device: cpu, precision: fp32}
""",
    )


@pytest.fixture
def pictures(tmp_path):
    draw = np.random.default_rng(0)
    paths = [tmp_path / "a.png", tmp_path / "b.jpg"]
    for number, path in enumerate(paths):
        Image.fromarray(draw.integers(0, 256, (20 + 9 * number, 40, 3), dtype=np.uint8)).save(path)
    return paths


def test_a_line_a_picture(capsys, run, pictures):
    ended = vlobj(capsys, "caption", run, *pictures)
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [str(path) for path in pictures]
    assert vlobj(capsys, "caption", run, pictures[1]).out.splitlines() == lines[1:]


def test_as_data_and_with_beams(capsys, run, pictures):
    data = json.loads(vlobj(capsys, "caption", run, *pictures, "--json").out)
    assert [one["image"] for one in data] == [str(path) for path in pictures]
    assert [f"{one['image']}: {one['caption']}" for one in data] == vlobj(
        capsys, "caption", run, *pictures, "--beams", 1
    ).out.splitlines()
    assert len(json.loads(vlobj(capsys, "caption", run, *pictures, "--beams", 4, "--json").out)) == 2


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photos are not there")
def test_photos(capsys, run):
    photos = sorted(PHOTOS.iterdir())[:3]
    assert len(vlobj(capsys, "caption", run, *photos).out.splitlines()) == 3


def test_what_is_wrong_with_what_people_name(capsys, run, pictures, tmp_path):
    (tmp_path / "notes.png").write_text("no picture", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "cut.png").write_bytes(pictures[0].read_bytes()[:700])
    for words, code, said in [
        ((run,), 2, "IMAGE"),
        ((run, tmp_path / "nowhere.png"), 3, "nowhere.png"),
        ((run, pictures[0], tmp_path / "notes.png"), 3, "notes.png"),
        ((run, *pictures, tmp_path / "cut.png"), 3, "cut.png  cannot be read as a picture: "),
        ((run, tmp_path / "empty"), 3, "empty  cannot be read as a picture: it is a folder"),
        ((tmp_path / "empty", pictures[0]), 2, "is no run folder"),
        (("coca", pictures[0]), 2, "is no run folder"),
        ((run, pictures[0], "--beams", "0"), 2, "--beams"),
        ((run, pictures[0], "--beams", "many"), 2, "--beams"),
    ]:
        ended = vlobj(capsys, "caption", *words)
        assert ended.code == code and said in ended.err and ended.out == "", (words, ended)
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("kept", [None, "{"])
def test_a_run_that_lost_what_it_learned(capsys, run, pictures, tmp_path, kept):
    shutil.copytree(run, tmp_path / "run")
    learned = tmp_path / "run" / "fields" / "caption.json"
    learned.unlink() if kept is None else learned.write_text(kept, encoding="utf-8")
    for words in (("caption", tmp_path / "run", pictures[0]), ("eval", tmp_path / "run")):
        ended = vlobj(capsys, *words)
        assert ended.code == 3 and f"{learned}  what the field 'caption' learned cannot be read" in ended.err
        assert "hint: take " in ended.err


def test_a_run_that_trains_no_decoder(capsys, pictures, tmp_path):
    contrast = (
        SMALL[: SMALL.index("  words:")]
        + """\
objectives: {itc: {}}
optim: {lr: 1e-3}
run: {steps: 4, device: cpu, precision: fp32}
"""
    )
    ended = vlobj(capsys, "caption", trained(tmp_path, contrast), pictures[0])
    assert ended.code == 2 and "no objective of this run trains a decoder of texts" in ended.err
    assert "hint: take a run of a recipe with one that does" in ended.err


def test_clips(capsys, tmp_path):
    """Of a run on clips: videos and folders of frames are read; a picture alone is none, nor is a file that was cut."""
    draw, frames = np.random.default_rng(0), tmp_path / "frames"
    frames.mkdir()
    for number in range(5):
        Image.fromarray(draw.integers(0, 256, (24, 40, 3), dtype=np.uint8)).save(frames / f"{number}.png")
    stills = [Image.open(frames / f"{number}.png").quantize(256) for number in range(5)]
    stills[0].save(tmp_path / "a.gif", save_all=True, append_images=stills[1:], duration=100)
    (tmp_path / "m.jsonl").write_text(
        "".join(json.dumps({"video": name, "caption": f"the film {name}"}) + "\n" for name in ("frames", "a.gif")),
        encoding="utf-8",
    )
    run = trained(
        tmp_path,
        f"""\
data: {{type: video_captions, manifest: {tmp_path / "m.jsonl"}, image_size: 32, frames: 2, batch: 2, hold_out: {{}}}}
inputs: {{image: {{fields: [clip], part: vision}}}}
{SMALL[SMALL.index("fields:") : SMALL.index("  text:")]}\
  text: {{type: causal_text, width: 32, depth: 1, heads: 2}}
  captioner: {{type: cross_decoder, query: text, memory: vision, causal: true, width: 32, depth: 1, heads: 2}}
  words: {{type: vocabulary_head, of: captioner}}
objectives: {{ic: {{}}}}
optim: {{lr: 1e-3}}
run: {{steps: 4, device: cpu, precision: fp32}}
""",
    )
    said = vlobj(capsys, "caption", run, tmp_path / "a.gif", frames)
    assert (said.code, len(said.out.splitlines())) == (0, 2)
    cut = tmp_path / "cut.gif"
    cut.write_bytes((tmp_path / "a.gif").read_bytes()[:-40])
    for wrong, why in ((frames / "0.png", "none of MP4"), (tmp_path / "gone", "does not exist"), (cut, "is cut off")):
        ended = vlobj(capsys, "caption", run, wrong)
        assert ended.code == 3 and f"{wrong}  cannot be read as a clip: it " in ended.err and why in ended.err
        assert "hint: name a video, or a folder of frames" in ended.err
