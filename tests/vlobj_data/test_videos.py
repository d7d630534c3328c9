"""Clips: which frames are taken, from which files and manifests, and what becomes of those that cannot be read."""

import io
import json
import random
import struct
import subprocess
import sys
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vlobj_data.forms.asked import CLIPS, Asked
from vlobj_data.forms.recognition import form_of
from vlobj_data.videos import clips
from vlobj_data.videos.clips import check_clip, read_clip
from vlobj_data.videos.sampling import frame_numbers
from vlobj_data.videos.videos import VideoCaptions

from vlobjectives import Sample, UnusableSample
from vlobjectives.errors import DataError
from vlobjectives.pictures import PictureError

LIMIT = 10_000_000
KINDS = [
    ("a.mp4", "mpeg4", "yuv420p"),
    ("a.mkv", "mpeg4", "yuv420p"),
    ("a.avi", "mpeg4", "yuv420p"),
    ("a.webm", "libvpx", "yuv420p"),
    ("a.gif", "gif", "rgb8"),
]
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "clips"


def film(
    path: Path,
    count: int = 30,
    codec: str = "mpeg4",
    pixels: str = "yuv420p",
    gap: int = 6,
    size: tuple[int, int] = (48, 64),
) -> Path:
    """A video whose frame k is grey of 8 k, a key frame every `gap` frames."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = *size, pixels, gap
        stream.time_base = Fraction(1, 25)
        for k in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 8 * k, np.uint8), format="rgb24")
            out.mux(stream.encode(frame.reformat(format=pixels)))
        out.mux(stream.encode(None))
    return path


def every(count: int) -> list[int]:
    """All frames."""
    return list(range(count))


def greys(clip: torch.Tensor) -> list[int]:
    """The numbers of the frames of a `film`."""
    return [round(float(frame.float().mean()) / 8) for frame in clip]


@given(st.integers(1, 500), st.integers(1, 16), st.integers(0, 2**32))
def test_one_frame_of_each_segment(count, frames, seed):
    middle, drawn = frame_numbers(count, frames), frame_numbers(count, frames, random.Random(seed))
    for numbers in (middle, drawn):
        assert len(numbers) == frames and numbers == sorted(numbers)
        for f, number in enumerate(numbers):
            assert f * count // frames <= number <= min((f + 1) * count / frames, count - 1)
    if count >= frames:
        assert len(set(middle)) == frames


def test_middles():
    assert frame_numbers(12, 4) == [1, 4, 7, 10]
    assert frame_numbers(1, 3) == [0, 0, 0]


@pytest.mark.parametrize(("name", "codec", "pixels"), KINDS)
def test_the_frames_asked_for(tmp_path, name, codec, pixels):
    path = film(tmp_path / name, codec=codec, pixels=pixels)
    for wanted in ([0, 1, 29], [7], [5, 6, 12, 12, 13], [28, 29]):
        found = read_clip(path, lambda count, wanted=wanted: wanted, LIMIT)
        assert found.dtype == torch.uint8 and found.shape[1:] == (3, 48, 64)
        if codec == "gif":
            assert len(found) == len(wanted)  # eight shades of grey
        else:
            assert greys(found) == wanted


def test_only_what_the_decoder_needs_is_decoded(tmp_path, monkeypatch):
    path, decoded = film(tmp_path / "a.mp4", count=31, gap=5), []

    class Watched:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.inner.close()

        def decode(self, stream):
            for frame in self.inner.decode(stream):
                decoded.append(frame.pts)
                yield frame

    container = clips._container
    monkeypatch.setattr(clips, "_container", lambda *given: Watched(container(*given)))
    assert greys(read_clip(path, lambda count: [2, 26, 27], LIMIT)) == [2, 26, 27]
    assert len(decoded) <= 3 + 3


def test_a_folder_of_frames(tmp_path):
    for k in (1, 2, 10):
        Image.new("RGB", (20, 10), (k, k, k)).save(tmp_path / f"frame{k}.png")
    (tmp_path / "notes.txt").write_text("no picture", encoding="utf-8")
    assert read_clip(tmp_path, every, LIMIT)[:, 0, 0, 0].tolist() == [1, 2, 10]
    Image.new("RGB", (30, 10)).save(tmp_path / "frame11.png")
    with pytest.raises(PictureError, match="several sizes"):
        read_clip(tmp_path, every, LIMIT)
    (tmp_path / "empty").mkdir()
    for read in (partial(read_clip, choose=frame_numbers), check_clip):
        with pytest.raises(PictureError, match="folder without pictures"):
            read(tmp_path / "empty", max_pixels=LIMIT)


def test_what_is_no_clip(tmp_path):
    first = partial(frame_numbers, frames=2)
    (tmp_path / "list.mp4").write_text(f"ffconcat version 1.0\nfile '{film(tmp_path / 'a.mp4')}'\n", encoding="utf-8")
    (tmp_path / "play.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n", "utf-8")
    for name, why in (("gone.mp4", "does not exist"), ("list.mp4", "none of MP4"), ("play.mp4", "none of MP4")):
        for read in (lambda path: read_clip(path, first, LIMIT), lambda path: check_clip(path, LIMIT)):
            with pytest.raises(PictureError, match=why):
                read(tmp_path / name)
    with pytest.raises(PictureError, match=r"64 x 48 pixels, more than data.max_pixels = 3071"):
        check_clip(tmp_path / "a.mp4", 48 * 64 - 1)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_damage_never_ends_otherwise(tmp_path, name):
    """A file with a cut or with bytes changed gives frames of the right form, or a PictureError."""
    codec = "libvpx" if name == "a.webm" else "mpeg4"
    whole = film(tmp_path / name, codec=codec).read_bytes()
    dice, outcomes = random.Random(0), set()
    for trial in range(24):
        data = bytearray(whole[: dice.randrange(len(whole))] if trial % 2 else whole)
        for _ in range(0 if trial % 2 else 30):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path = tmp_path / f"broken-{name}"
        path.write_bytes(bytes(data))
        try:
            assert read_clip(path, partial(frame_numbers, frames=4), LIMIT).shape[:2] == (4, 3)
            outcomes.add("read")
        except PictureError as error:
            outcomes.add("refused")
            assert str(error)
    assert "refused" in outcomes


def live(path: Path, codec: str = "mpeg4", kind: str = "matroska") -> Path:
    """A recording of thirty frames that was written to something that cannot go back, such as a network."""

    class Onward(io.RawIOBase):
        data = b""

        def writable(self):
            return True

        def write(self, more):
            self.data += bytes(more)
            return len(more)

    onward, options = Onward(), {"movflags": "frag_keyframe+empty_moov"} if kind == "mp4" else {}
    with av.open(onward, "w", format=kind, options=options) as out:
        stream = out.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt, stream.gop_size = 48, 64, "yuv420p", 6
        for k in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 8 * k, np.uint8), format="rgb24")
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    path.write_bytes(onward.data)
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.gif", "a.avi", "live.webm", "live.mkv", "live.mp4"])
def test_a_file_that_is_cut_off_gives_no_fewer_frames(tmp_path, name):
    """Wherever it is cut: refused, or (behind its last frame) all of them."""
    end = name.partition(".")[2]
    codec, pixels = {"webm": ("libvpx", "yuv420p"), "gif": ("gif", "rgb8")}.get(end, ("mpeg4", "yuv420p"))
    if name.startswith("live"):
        path = live(tmp_path / name, codec, "matroska" if end == "mkv" else end)
    else:
        path = film(tmp_path / name, codec=codec, pixels=pixels)
    whole, refused = path.read_bytes(), 0
    assert len(read_clip(path, every, LIMIT)) == 30 == len(read_clip(whole, every, LIMIT))
    for share in (*range(4, 40, 3), 39.9):
        path.write_bytes(whole[: int(len(whole) * share / 40)])
        try:
            assert len(read_clip(path, every, LIMIT)) == 30, share
        except PictureError as error:
            refused += 1
            if "cut off" in str(error) and name != "a.avi":
                with pytest.raises(PictureError, match="cut off"):
                    check_clip(path, LIMIT)
    assert refused > 9


def test_what_is_no_end_is_no_cut(tmp_path):
    """Bytes behind the last part, and lengths that say nothing."""
    for name, more in (("a.mp4", bytes(5)), ("b.mp4", bytes(64)), ("a.mkv", bytes(9)), ("a.gif", b"junk")):
        codec, pixels = ("gif", "rgb8") if name == "a.gif" else ("mpeg4", "yuv420p")
        path = film(tmp_path / name, codec=codec, pixels=pixels)
        path.write_bytes(path.read_bytes() + more)
        assert len(read_clip(path, every, LIMIT)) == 30


@pytest.mark.parametrize("name", ["http:x.mp4", "concat:a.mp4", "-x.mp4", "a%d.mp4", "ä [1]*?.mp4"])
def test_names_are_names_of_files(tmp_path, monkeypatch, name):
    """To FFmpeg some are addresses."""
    film(tmp_path / "a.mp4", count=3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), tmp_path / name):
        check_clip(path, LIMIT)
        assert read_clip(path, every, LIMIT).shape[0] == 3


def test_titles_may_hold_any_bytes(tmp_path):
    """Latin-1 where UTF-8 should be: of the film, and of the stream."""
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "Kaese in Oel"
        stream = out.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for _ in range(3):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    data = path.read_bytes()
    assert data.count(b"Kaese in Oel") == data.count(b"VideoHandler") == 1
    data = data.replace(b"Kaese in Oel", "Käse in Öl  ".encode("latin-1")).replace(b"VideoHandler", b"Vide\xf6Handler")
    path.write_bytes(data)
    check_clip(path, LIMIT)
    assert read_clip(path, every, LIMIT).shape == (3, 3, 48, 64)


QUARTERS = [(p, q) for p in (-1, 1) for q in (-1, 1)]


@pytest.mark.parametrize(
    "matrix", [(a, 0, 0, d) for a in (1, -1) for d in (1, -1)] + [(0, b, c, 0) for b in (1, -1) for c in (1, -1)]
)
def test_frames_are_turned_and_mirrored_as_the_file_asks(tmp_path, matrix):
    """A point (p, q) of a frame, counted from its middle, is shown at (a p + c q, b p + d q)."""
    still = np.zeros((32, 64, 3), np.uint8)
    greys = dict(zip(QUARTERS, (20, 90, 160, 230)))
    for (p, q), grey in greys.items():
        still[(0 if q < 0 else 16) : (16 if q < 0 else 32), (0 if p < 0 else 32) : (32 if p < 0 else 64)] = grey
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(still, format="rgb24").reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    a, b, c, d = matrix
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    data[at : at + 20] = struct.pack(">5i", a << 16, b << 16, 0, c << 16, d << 16)
    path.write_bytes(bytes(data))
    (frame,) = read_clip(path, lambda count: [0], LIMIT)
    high, wide = frame.shape[1:]
    assert (high, wide) == ((32, 64) if a else (64, 32))
    for (p, q), grey in greys.items():
        x, y = a * p + c * q, b * p + d * q
        assert abs(float(frame[0, high // 2 + y * high // 4, wide // 2 + x * wide // 4]) - grey) < 12, (p, q)


def test_a_clip_from_outside_is_framed_as_held_out_ones(tmp_path):
    """From a file, a folder of frames, bytes, or frames in memory: the same frames, the same cut."""
    film(tmp_path / "a.mkv", count=17, size=(40, 60))
    frames = tmp_path / "frames"
    frames.mkdir()
    for k, frame in enumerate(read_clip(tmp_path / "a.mkv", every, LIMIT)):
        Image.fromarray(frame.permute(1, 2, 0).numpy()).save(frames / f"{k}.png")
    source = made(
        tmp_path,
        [
            {"video": name, "caption": "it", "split": split}
            for name in ("a.mkv", "frames")
            for split in ("train", "val")
        ],
        augment="crop",
        interpolation="bicubic",
    )
    held = source.sample("val", 0, 0, 0).values["clip"]
    whole = read_clip(tmp_path / "a.mkv", every, LIMIT)
    assert greys(held) == greys(whole[[2, 8, 14]]) and torch.equal(source.sample("val", 1, 0, 0).values["clip"], held)
    spec = source.columns["clip"]
    for clip in (
        tmp_path / "a.mkv",
        str(tmp_path / "a.mkv"),
        (tmp_path / "a.mkv").read_bytes(),
        frames,
        whole,
        whole.numpy(),
        held,
    ):
        assert torch.equal(VideoCaptions.framed(source.config, spec, clip, LIMIT), held)
    for wrong, why in (
        (whole[0], r"uint8 \[3, 40, 60\] and no uint8 \[F,3,H,W\]"),
        (whole.float(), "float32"),
        (Image.new("RGB", (8, 8)), "no uint8"),
        (tmp_path / "b.mkv", "does not exist"),
        (b"", "none of MP4"),
    ):
        with pytest.raises(PictureError, match=why):
            VideoCaptions.framed(source.config, spec, wrong, LIMIT)


def made(tmp_path, rows, name="manifest.jsonl", **more) -> VideoCaptions:
    (tmp_path / name).write_text(rows if isinstance(rows, str) else "\n".join(map(json.dumps, rows)), encoding="utf-8")
    return VideoCaptions(
        VideoCaptions.Config(manifest=str(tmp_path / name), **{"hold_out": {}, "image_size": 32, "frames": 3, **more})
    )


def all_of(source: VideoCaptions, split: str = "train") -> list[Sample | UnusableSample]:
    return [source.sample(split, number, 0, 0) for number in range(source.size(split))]


def test_a_sample_is_a_pure_function(tmp_path):
    film(tmp_path / "a.mp4")
    rows = [{"video": "a.mp4", "caption": ["one", "two"], "split": split} for split in ("train", "val")]
    source = made(tmp_path, rows, captions="one", augment="crop", flip=True)
    assert source.columns["clip"].shape == (3, 3, 32, 32) and source.columns["clip"].kind == "picture"
    assert source.described(source.config) == source.columns

    def shown(split, epoch, seed):
        sample = source.sample(split, 0, epoch, seed)
        return sample.values["caption"], tuple(greys(sample.values["clip"]))

    assert {shown("train", 4, 7) for _ in range(3)} == {shown("train", 4, 7)}
    drawn = {shown("train", epoch, seed) for epoch in range(6) for seed in range(3)}
    assert len({caption for caption, _ in drawn}) == 2 and len({numbers for _, numbers in drawn}) > 5
    assert all(k * 10 <= number < k * 10 + 10 for _, numbers in drawn for k, number in enumerate(numbers))
    assert {shown("val", epoch, seed) for epoch in range(3) for seed in range(3)} == {("one", (5, 15, 25))}
    uniform = made(tmp_path, rows, sampling="uniform")
    assert greys(uniform.sample("train", 0, 3, 5).values["clip"]) == [5, 15, 25]


def test_captions_are_read_without_decoding(tmp_path):
    source = made(tmp_path, [{"video": "gone.mp4", "caption": "a caption"}])
    assert source.value("train", 0, "caption", 0, 0) == "a caption"
    assert isinstance(source.sample("train", 0, 0, 0), UnusableSample)
    assert ["gone.mp4 does not exist" in line for line in source.problems()] == [True]


def test_one_box_for_all_frames(tmp_path):
    """A still film stays still under crops and mirroring."""
    folder = tmp_path / "still"
    folder.mkdir()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))
    for k in range(4):
        picture.save(folder / f"{k}.png")
    source = made(tmp_path, [{"frames": "still", "caption": "noise"}], augment="crop", flip=True)
    seen = [source.sample("train", 0, epoch, 0).values["clip"] for epoch in range(8)]
    assert all(torch.equal(clip[0], clip[k]) for clip in seen for k in (1, 2))
    assert not all(torch.equal(seen[0], clip) for clip in seen)


MSRVTT = {
    "videos": [
        {"video_id": "video0", "split": "train"},
        {"video_id": "video1", "split": "validate"},
        {"video_id": "video2", "split": "test", "file_name": "other.webm"},
        {"video_id": "video0", "split": "test"},
        {"video_id": "video3", "split": "train"},
    ],
    "sentences": [
        {"video_id": "video0", "caption": "one"},
        {"video_id": "video1", "caption": "two"},
        {"video_id": "video0", "caption": "three"},
        {"video_id": "video2", "caption": "four"},
    ],
}


def test_msrvtt(tmp_path):
    film(tmp_path / "video0.mp4", count=6)
    film(tmp_path / "video1.mp4", count=6)
    film(tmp_path / "other.webm", count=6, codec="libvpx")
    source = made(tmp_path, json.dumps(MSRVTT), "msrvtt.json")
    assert {split: source.size(split) for split in ("train", "val", "test")} == {"train": 4, "val": 1, "test": 1}
    found = all_of(source)
    assert [one.values["caption"] if isinstance(one, Sample) else "" for one in found] == ["", "one", "three", ""]
    assert found[1].same == found[2].same and "twice" in found[0].reason and "no caption" in found[3].reason
    assert source.sample("val", 0, 0, 0).values["caption"] == "two"
    assert source.sample("test", 0, 0, 0).key == "other.webm"


def test_webvid(tmp_path):
    (tmp_path / "pages").mkdir()
    film(tmp_path / "pages" / "17.mp4", count=6)
    film(tmp_path / "18.mp4", count=6)
    text = (
        'videoid,contentUrl,duration,page_dir,name\n17,https://a/17.mp4,PT00H00M06S,pages,"A dog, running"\n'
        "18,https://a/18.mp4,PT00H00M06S,,Clouds\n"
    )
    source = made(tmp_path, text, "webvid.csv")
    assert [sample.values["caption"] for sample in all_of(source)] == ["A dog, running", "Clouds"]
    assert source.sample("train", 0, 0, 0).key == "pages/17.mp4"


def test_plain_forms(tmp_path):
    film(tmp_path / "a.mp4", count=6)
    for name, text in (
        ("a.csv", "video,caption\na.mp4,one\n"),
        ("a.tsv", "path\tsentence\na.mp4\tone\n"),
        ("a.json", '[{"video": "a.mp4", "captions": ["one"]}]'),
    ):
        assert [sample.values["caption"] for sample in all_of(made(tmp_path, text, name))] == ["one"]


def test_folders_of_frames_by_id(tmp_path):
    (tmp_path / "video0").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "video0" / "1.jpg")
    text = json.dumps(
        {
            "videos": [{"video_id": "video0", "split": "train"}],
            "sentences": [{"video_id": "video0", "caption": "black"}],
        }
    )
    (sample,) = all_of(made(tmp_path, text, "m.json", extension=""))
    assert sample.values["clip"].shape == (3, 3, 32, 32)


@pytest.mark.parametrize(
    ("name", "text", "form"),
    [
        ("a.json", '{"videos": [], "sentences": []}', "msrvtt"),
        ("a.json", "[]", "list"),
        ("a.csv", "a,b", "csv"),
        ("a.csv", "videoid,contentUrl,duration,page_dir,name", "webvid"),
        ("a", '{"video": 1}\n{"video": 2}', "jsonl"),
    ],
)
def test_the_form_is_found_out(name, text, form):
    assert form_of(text, Path(name), Asked(CLIPS)) == form


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"images": []}', "MSR-VTT's layout"),
        ('{"videos": [], "sentences": []}', "no records"),
        ('{"videos": [', "not JSON"),
    ],
)
def test_broken_manifests_stop(tmp_path, text, why):
    with pytest.raises(DataError, match=why):
        made(tmp_path, text, "m.json")


def test_the_message_names_the_key_of_the_folder(tmp_path):
    (bad,) = all_of(made(tmp_path, [{"video": "/etc/passwd", "caption": "no"}]))
    assert "clips (data.videos)" in bad.reason


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no clips at {REAL}")
def test_real_clips_are_all_read():
    listed, told = (
        VideoCaptions(
            VideoCaptions.Config(manifest=str(REAL / name), videos=str(folder), captions="one", image_size=64)
        )
        for name, folder in (("manifest_clips_small.jsonl", REAL), ("msrvtt_clips_small.json", REAL / "videos"))
    )
    assert not listed.problems(thorough=True) and not told.problems(thorough=True)
    samples = [one for split in told.splits() for one in all_of(told, split)]
    assert len(samples) == 10 and all(one.values["clip"].shape == (4, 3, 64, 64) for one in samples)
    captions = [
        [
            source.value(split, number, "caption", 0, 0)
            for split in source.splits()
            for number in range(source.size(split))
        ]
        for source in (listed, told)
    ]
    assert captions[0] == captions[1]


def test_a_worker_that_is_forked_collects_frames_that_another_process_read(tmp_path):
    """Garbage may hold frames, as an error's traceback does, and the threads that converted them are not in a fork."""
    code = (
        "import gc, os, sys; from pathlib import Path; from vlobj_data.videos import clips\n"
        "class Cycle: pass\n"
        "def kept(frame, rgb=clips._rgb):\n"
        "    cycle = Cycle(); cycle.own, cycle.frame = cycle, frame\n"
        "    return rgb(frame)\n"
        "clips._rgb = kept; gc.disable()\n"
        "clips.read_clip(Path(sys.argv[1]), lambda count: [0, 1], 10**7)\n"
        "child = os.fork()\n"
        "if not child: gc.collect(); os._exit(0)\n"
        "sys.exit(os.waitpid(child, 0)[1])"
    )
    ended = subprocess.run([sys.executable, "-c", code, film(tmp_path / "a.mp4")], timeout=60, start_new_session=True)
    assert ended.returncode == 0
