"""Samples of a source as its checks ask for them."""

from collections.abc import Iterator

from vlobjectives.contracts.source import Sample, Source, UnusableSample
from vlobjectives.data.data_module import make_source
from vlobjectives.testing.check import CheckFailed
from vlobjectives.testing.toys import Toy

MOST = 12
"""Samples of a split that are looked at."""


def opened(toy: Toy) -> Source:
    """The source, opened anew."""
    return make_source(toy.resolved)


def looked_at(source: Source) -> list[tuple[str, int, int]]:
    """(split, number, epoch) of the samples that are looked at, in order."""
    epoch = source.settled_epoch
    sizes = {split: source.size(split) for split in source.splits()}
    return [
        (split, number, epoch + later)
        for split, size in sizes.items()
        for later in ((0, 1) if split == "train" else (0,))
        for number in dict.fromkeys([*range(min(size, MOST)), *([size - 1] if size else [])])
    ]


def drawn(source: Source, split: str, number: int, epoch: int, seed: int) -> Sample | UnusableSample:
    """A sample. Raises CheckFailed for what is none."""
    sample = source.sample(split, number, epoch, seed)
    if not isinstance(sample, Sample | UnusableSample):
        raise CheckFailed(
            f"sample {number} of {split} is a {type(sample).__name__}", "give a Sample, or an UnusableSample"
        )
    return sample


def samples(source: Source, seed: int) -> Iterator[tuple[str, int, int, Sample]]:
    """Those that can be used."""
    for split, number, epoch in looked_at(source):
        sample = drawn(source, split, number, epoch, seed)
        if isinstance(sample, Sample):
            yield split, number, epoch, sample
