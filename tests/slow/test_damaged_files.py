"""Thousands of damaged files: none ends a process, and each that cannot be used is counted and named."""

import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow
DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
READ = """
import json, sys
from vlobjectives import Sample
from vlobj_data.captions.captions import Captions
from vlobj_data.videos.videos import VideoCaptions
kind, manifest = sys.argv[1:]
cls, options = (Captions, {}) if kind == "pictures" else (VideoCaptions, {"frames": 2})
source = cls(cls.Config(manifest=manifest, image_size=32, hold_out={}, **options))
for number in range(source.size("train")):
    sample = source.sample("train", number, 0, 0)
    good = isinstance(sample, Sample)
    print(json.dumps([sample.key, good, "" if good else sample.reason]), flush=True)
"""


def damaged(whole: bytes, dice: random.Random) -> bytes:
    """Flipped bits, a hole, a cut, or bytes put in, at random places."""
    data, way = bytearray(whole), dice.randrange(5)
    if way < 2:
        for _ in range(dice.choice([1, 3, 30])):
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif way == 2:
        at = dice.randrange(len(data))
        del data[at : at + dice.choice([1, 7, 400])]
    elif way == 3:
        del data[dice.randrange(len(data)) :]
    else:
        at = dice.randrange(len(data))
        data[at:at] = dice.randbytes(dice.choice([1, 7, 400]))
    return bytes(data)


def outcomes(folder: Path, kind: str, names: list[str]) -> dict[str, tuple[bool, str]]:
    """Of each file whether it gave a sample, and else why not, as another process finds."""
    manifest = folder / "manifest.jsonl"
    rows = (json.dumps({"file": name, "caption": f"what {name} shows"}) + "\n" for name in names)
    manifest.write_text("".join(rows), encoding="utf-8")
    command = [sys.executable, "-c", READ, kind, str(manifest)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    found = {key: (good, why) for key, good, why in map(json.loads, done.stdout.splitlines())}
    assert list(found) == names
    assert not [why for name, (good, why) in found.items() if not good and name not in why]
    return found


def test_pictures(tmp_path):
    """Whatever Pillow refuses is refused, and a picture that is whole stays one."""
    photos = sorted((DATA / "captions/coco/images").glob("*.jpg"))[:20]
    if not photos:
        pytest.skip(f"no photos in {DATA}")
    dice, sources = random.Random(0), []
    for place, photo in enumerate(photos):
        held = io.BytesIO()
        Image.open(photo).convert("RGB").save(held, ("JPEG", "PNG", "WEBP", "GIF")[place % 4])
        sources.append(held.getvalue())
    names = []
    for number in range(2000):
        names.append(f"{number}.img")
        (tmp_path / names[-1]).write_bytes(damaged(sources[number % 20], dice) if number >= 20 else sources[number])
    found = outcomes(tmp_path, "pictures", names)
    assert all(found[name][0] for name in names[:20])
    refused = [name for name in names if not _pillow_reads(tmp_path / name)]
    assert len(refused) > 400 and not [name for name in refused if found[name][0]]
    assert sum(good for good, _ in found.values()) > 400


def _pillow_reads(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            picture.load()
            picture.convert("RGB")
    except Exception:
        return False
    return True


def test_clips(tmp_path):
    pytest.importorskip("av")
    clips = sorted(path for path in (DATA / "clips/videos").glob("*") if path.suffix != ".vtt")
    clips = [path for path in clips if path.stat().st_size < 2**20]
    if not clips:
        pytest.skip(f"no clips in {DATA}")
    dice, names = random.Random(0), []
    for number in range(300):
        whole = clips[number % len(clips)].read_bytes()
        names.append(f"{number}.bin")
        (tmp_path / names[-1]).write_bytes(whole if number < len(clips) else damaged(whole, dice))
    found = outcomes(tmp_path, "clips", names)
    assert all(found[name][0] for name in names[: len(clips)])
    assert 20 < sum(good for good, _ in found.values()) < 300
