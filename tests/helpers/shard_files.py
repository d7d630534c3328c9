"""Pictures of noise with captions, written as files with a manifest and as shards of the same samples."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

Members = Iterable[tuple[str, bytes]]


def picture(number: int, kind: str = "JPEG") -> bytes:
    noise = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize((80, 60)).save(buffer, kind)
    return buffer.getvalue()


def caption(number: int) -> str:
    return f"picture {number} of noise, {'left' if number % 3 else 'bright'}"


def tar(path: Path, members: Members, **options: int) -> Path:
    """A tar of these members, by Python's own writer."""
    with tarfile.open(path, "w", **options) as file:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def members(numbers: Iterable[int], more: Mapping[str, object] | None = None) -> Members:
    for number in numbers:
        yield f"{number:05d}.jpg", picture(number)
        yield f"{number:05d}.txt", caption(number).encode()
        if more is not None:
            yield f"{number:05d}.json", json.dumps({"key": f"{number:05d}", **more}).encode()


def as_files(folder: Path, count: int) -> Path:
    """The manifest of pictures that lie beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(count):
        (folder / f"{number:05d}.jpg").write_bytes(picture(number))
        rows.append(json.dumps({"image": f"{number:05d}.jpg", "caption": caption(number)}))
    (folder / "list.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder / "list.jsonl"


def as_shards(folder: Path, count: int, each: int) -> str:
    """The shards, as a name with braces."""
    folder.mkdir(parents=True, exist_ok=True)
    firsts = range(0, count, each)
    for shard, first in enumerate(firsts):
        tar(folder / f"noise-{shard:06d}.tar", members(range(first, min(first + each, count))))
    return str(folder / f"noise-{{000000..{len(firsts) - 1:06d}}}.tar")
