"""Photos from files, shards and a saved set, by this library, webdataset and Hugging Face's datasets.

Everybody gives the same photos with their captions: as bytes in an order of its own for each epoch, and framed at 224
pixels by the same function, so that only the way of finding them differs. webdataset reads shards from the front and
shuffles in a buffer of a thousand; the others read by number.
"""

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import torch

from vlobjectives.plugin_loading.instantiate import config_of
from vlobjectives.registry import Registry

SHARD = 100
Pair = tuple[bytes, str]
Loader = Callable[[int], Iterator[Pair]]
"""Photos and captions of an epoch."""
PEERS = ("webdataset", "datasets", "pyarrow")


def missing() -> list[str]:
    return [name for name in PEERS if find_spec(name) is None]


def loaders(photos: list[Pair], folder: Path) -> dict[str, Loader]:
    """One for each way that is installed, of photos that it writes into the folder first."""
    made: dict[str, Loader] = {"files, vlobjectives": _ours(_files(photos, folder / "files"))}
    shards = _shards(photos, folder / "shards")
    made["shards, vlobjectives"] = _ours(str(shards / "*.tar"))
    if not find_spec("webdataset"):
        return made
    made["shards, webdataset"] = _webdataset(sorted(map(str, shards.glob("*.tar"))))
    if not (find_spec("datasets") and find_spec("pyarrow")):
        return made
    saved, read = _saved(photos, str(folder / "saved"))
    return made | {"saved set, vlobjectives": _ours(saved), "saved set, datasets": read}


def framed(loader: Loader) -> Loader:
    """The same at 224 pixels, as an epoch of a run shows what is held out."""
    cls = Registry().get("source", "captions")
    config = config_of(cls, {"manifest": "x"})

    def read(epoch: int) -> Iterator[Any]:
        for photo, caption in loader(epoch):
            yield cls.framed(config, cls.described(config)["image"], photo, 10**8), caption

    return read


def epoch(loader: Loader, size: int) -> Callable[[], None]:
    """Reads all photos once, each time another epoch."""
    numbers = count()

    def read() -> None:
        if sum(1 for photo, caption in loader(next(numbers)) if len(photo) and caption) != size:
            raise SystemExit("a loader gave another number of photos")

    return read


def _ours(manifest: str) -> Loader:
    cls = Registry().get("source", "captions")
    source = cls(config_of(cls, {"manifest": manifest, "hold_out": {}}))

    def read(epoch: int) -> Iterator[Pair]:
        order = torch.randperm(source.size("train"), generator=torch.Generator().manual_seed(epoch))
        for number in order.tolist():
            entry, _ = source._catalogue.at("train", number)
            held = source._file(entry.lies or entry.file, entry)
            yield held if isinstance(held, bytes) else held.read_bytes(), entry.captions[0]

    return read


def _webdataset(shards: list[str]) -> Loader:
    import webdataset

    def read(epoch: int) -> Iterator[Pair]:
        found = webdataset.WebDataset(shards, shardshuffle=len(shards), seed=epoch).shuffle(1000)
        for photo, caption in found.to_tuple("jpg", "txt"):
            yield photo, caption.decode()

    return read


def _saved(photos: list[Pair], folder: str) -> tuple[str, Loader]:
    import datasets

    datasets.disable_progress_bars()
    features = datasets.Features({"image": datasets.Image(decode=False), "caption": datasets.Value("string")})
    rows = {
        "image": [{"bytes": photo, "path": f"{n:06d}.jpg"} for n, (photo, _) in enumerate(photos)],
        "caption": [caption for _, caption in photos],
    }
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(folder)
    held = datasets.load_from_disk(folder)

    def read(epoch: int) -> Iterator[Pair]:
        for number in torch.randperm(len(held), generator=torch.Generator().manual_seed(epoch)).tolist():
            row = held[number]
            yield row["image"]["bytes"], row["caption"]

    return folder, read


def _files(photos: list[Pair], folder: Path) -> str:
    folder.mkdir()
    rows = []
    for number, (photo, caption) in enumerate(photos):
        (folder / f"{number:06d}.jpg").write_bytes(photo)
        rows.append(json.dumps({"image": f"{number:06d}.jpg", "caption": caption}))
    (folder / "list.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return str(folder / "list.jsonl")


def _shards(photos: list[Pair], folder: Path) -> Path:
    folder.mkdir()
    for first in range(0, len(photos), SHARD):
        with tarfile.open(folder / f"{first // SHARD:06d}.tar", "w") as file:
            for number, (photo, caption) in enumerate(photos[first : first + SHARD], first):
                for ending, content in (("jpg", photo), ("txt", caption.encode())):
                    info = tarfile.TarInfo(f"{number:06d}.{ending}")
                    info.size = len(content)
                    file.addfile(info, io.BytesIO(content))
    return folder
