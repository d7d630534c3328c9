"""How fast data comes, one process: pictures drawn, pictures from the cache, photos from disk, tokens.

    python benchmarks/data_rates.py [--photos FOLDER] [--rounds 9] [--json FILE]

FOLDER holds photos in images/ beside a manifest dataset*.json, as Karpathy's split of Flickr8k does; that row is left
out, with the reason, where it is missing. Half a minute on two cores. A step of the small recipe takes 64 samples.
"""

from collections.abc import Callable
from itertools import count
from pathlib import Path

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
    paired.show(f"Data, one process; {asked.rounds} rounds, median [95 %]", rows, asked.json)
    if not manifests:
        print(f"photos: left out, no dataset*.json in {asked.photos}")


if __name__ == "__main__":
    main()
