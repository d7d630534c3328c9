"""How fast data comes, one process: pictures drawn, pictures from the cache, photos from disk, tokens; then photos from
shards and saved sets beside webdataset and Hugging Face's datasets, and decoders, on damaged files too.

    python benchmarks/data_rates.py [--photos FOLDER] [--rounds 9] [--json FILE]

FOLDER holds photos in images/ beside a manifest dataset*.json, as Karpathy's split of Flickr8k does; what needs it is
left out, with the reason, where it is missing, and so are peers that are not installed. Two minutes on two cores. A
step of the small recipe takes 64 samples.
"""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import data_loaders
import decoders
import paired

from vlobjectives.contracts.source import Sample
from vlobjectives.plugin_loading.instantiate import config_of
from vlobjectives.registry import Registry

SAMPLES, PHOTOS, CAPTIONS = 256, 64, 2000
HERE = Path(__file__).resolve()


def made(kind: str, name: str, **options: object):
    """A plug-in as a recipe makes it."""
    cls = Registry().get(kind, name)
    return cls(config_of(cls, options))


def reading(source: object, epoch: int, numbers: Callable[[], range]) -> Callable[[], None]:
    """Reads training samples, picture and caption."""

    def read() -> None:
        for number in numbers():
            sample = source.sample("train", number, epoch, 0)
            if not isinstance(sample, Sample):
                raise SystemExit(f"sample {number} cannot be read: {sample}")
            sample.values["image"], sample.values["caption"]

    return read


def main() -> None:
    asked = paired.options(
        __doc__, 9, photos=(str(HERE.parents[1].parent / "shared/data/captions/flickr8k"), "folder of photos")
    )
    scenes = made("source", "scenes", samples=16000, image_size=64)
    captions = [scenes.sample("train", number, 0, 0).values["caption"] for number in range(CAPTIONS)]
    reader = made("reader", "byte_pair", size=512, length=34)
    reader.fit(captions)
    tokens = sum(len(reader.read(caption).ids) for caption in captions)
    first = count(SAMPLES, SAMPLES)  # each turn draws pictures that nobody has asked for before
    work = {
        "scenes drawn, samples/s": (SAMPLES, reading(scenes, 0, lambda: range(n := next(first), n + SAMPLES))),
        "scenes cached, samples/s": (SAMPLES, reading(scenes, 1, lambda: range(SAMPLES))),
        "byte-pair pieces/s": (tokens, lambda: [reader.read(caption) for caption in captions]),
    }
    manifests = sorted(Path(asked.photos).glob("dataset*.json"))
    if manifests:
        photos = made("source", "captions", manifest=str(manifests[0]), images=f"{asked.photos}/images")
        each = min(PHOTOS, photos.size("train"))
        work["photos at 224 pixels, samples/s"] = each, reading(photos, 0, lambda: range(each))
    rows = []
    for name, (things, one) in work.items():
        taken = paired.turns({name: one}, asked.rounds, warmup=1)
        rows.append({"what": name, "rate": paired.said(paired.rate(things, taken[name]), 0)})
    more = tables(photos, asked.rounds) if manifests else {}
    paired.show(f"Data, one process; {asked.rounds} rounds, median [95 %]", rows, asked.json, **more)
    if not manifests:
        print(f"photos, loaders and decoders: left out, no dataset*.json in {asked.photos}")
    for title, table in more.items():
        print()
        paired.show(title, table)
    for name in data_loaders.missing():
        print(f"{name}: left out, not installed")


def tables(source: object, rounds: int) -> dict[str, list[dict[str, object]]]:
    """Loaders and decoders, in turns."""
    entries = [source._catalogue.at("train", number)[0] for number in range(source.size("train"))]
    once = {entry.file: entry for entry in entries}.values()
    photos = [(source._roots(entry.file).read_bytes(), entry.captions[0]) for entry in once]
    with TemporaryDirectory() as folder:
        found = data_loaders.loaders(photos, Path(folder))
        ways = {"bytes": found, "224 pixels": {name: data_loaders.framed(one) for name, one in found.items()}}
        loading: dict[str, dict[str, object]] = {name: {"loader": name} for name in found}
        for way, contestants in ways.items():
            work = {name: data_loaders.epoch(one, len(photos)) for name, one in contestants.items()}
            for name, taken in paired.turns(work, rounds, warmup=1).items():
                loading[name][f"{way}, samples/s"] = paired.said(paired.rate(len(photos), taken), 0)
    pictures = [photo for photo, _ in photos][:PHOTOS]
    known = decoders.decoders()
    work = {name: lambda one=one: [one(photo) for photo in pictures] for name, one in known.items()}
    taken = paired.turns(work, rounds, warmup=1)
    damaged = {"cut off": decoders.cut(pictures), "flipped": decoders.flipped(pictures)}
    decoding = [
        {
            "decoder": name,
            "photos/s": paired.said(paired.rate(len(pictures), taken[name]), 0),
            "other pixels": decoders.differences(one, pictures),
        }
        | {f"{how}: {what}": n for how, files in damaged.items() for what, n in decoders.outcomes(one, files).items()}
        for name, one in known.items()
    ]
    return {
        f"Loaders, {len(photos)} photos in another order each epoch": list(loading.values()),
        f"Decoders, {len(pictures)} photos": decoding,
    }


if __name__ == "__main__":
    main()
