"""Batches in an order that is a pure function of (seed, position): a run resumes from its step number alone."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.utils.data import DataLoader, Dataset

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.source import Sample, Source, UnusableSample
from vlobjectives.data.collate import Fields
from vlobjectives.errors import DataError, RecipeError, ResourceError, VlobjError
from vlobjectives.functional import noise
from vlobjectives.plugin_loading.attribution import blamed, given, work_of
from vlobjectives.recipe.model import source_path
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.runtime.resources import die_with_parent, out_of_memory
from vlobjectives.runtime.signals import STOPPING

REPLACEMENTS = 64
"""How many other samples are tried in place of a bad one before the data is given up."""


@dataclass(frozen=True)
class Layout:
    """How the rows of a step are spread: micro-step m of rank r takes `micro` consecutive rows.

    Rows count through the micro-steps, in each through the ranks, so that W processes with micro-batches of n rows
    see together what one process with W*n rows sees.
    """

    batch: int
    micro: int
    ranks: int = 1
    rank: int = 0

    @property
    def micro_steps(self) -> int:
        return self.batch // (self.micro * self.ranks)

    def rows(self, step: int, m: int) -> range:
        """Positions in the stream of samples."""
        first = step * self.batch + (m * self.ranks + self.rank) * self.micro
        return range(first, first + self.micro)


def layout_of(resolved: Resolved) -> Layout:
    """How the rows of a step are spread over processes and micro-batches. Raises RecipeError if they do not divide."""
    data, micro, world = resolved.recipe.data, resolved.rows, resolved.world
    if not micro or data.batch % (micro * world.size):
        written = f"micro-batches of {data.micro_batch} rows on " if data.micro_batch else ""
        raise RecipeError(
            [
                resolved.loaded.problem(
                    ("data", "micro_batch") if data.micro_batch else ("data", "batch"),
                    f"a batch of {data.batch} rows does not divide into {written}{world.size} processes",
                    "data.batch is a whole multiple of data.micro_batch x processes: change one of them, or --nproc",
                )
            ]
        )
    return Layout(data.batch, micro, world.size, world.rank)


class SampleOrder:
    """Which sample stands at a position of the endless stream: each epoch all samples once, in an order of its own.

    together  so many consecutive numbers stay side by side (twins that are each other's hard negatives)
    """

    def __init__(self, size: int, seed: int, together: int = 1):
        self.size, self.seed, self.together = size, seed, together
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __call__(self, position: int) -> tuple[int, int]:
        """(number, epoch)."""
        epoch, place = divmod(position, self.size)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(noise.prng_key(self.seed, "order", epoch) >> 65)
            blocks = torch.randperm(-(-self.size // self.together), generator=generator)
            order = (blocks[:, None] * self.together + torch.arange(self.together)).flatten()
            self._epoch, self._order = epoch, order[order < self.size]
        return int(self._order[place]), epoch


def fetch(
    source: Source, split: str, number: int, epoch: int, seed: int, size: int, name: str = ""
) -> tuple[Sample, list[tuple[int, UnusableSample]]]:
    """A sample, or the deterministic replacement of a bad one, and the bad ones met on the way (number, why).

    name  the source's in a mix
    """
    bad: list[tuple[int, UnusableSample]] = []
    for attempt in range(REPLACEMENTS):
        with work_of(source_path(name), f"reading sample {number} of {split}", source):
            sample = given(source.sample(split, number, epoch, seed), Sample | UnusableSample, source.sample)
        if isinstance(sample, Sample):
            return sample, bad
        bad.append((number, sample))
        number = noise.prng_key(seed, "replacement", split, number, epoch, attempt) % size
    raise DataError(
        f"{REPLACEMENTS} samples in a row cannot be used, the first: {bad[0][1].key}: {bad[0][1].reason}",
        "`vlobj check --data` names the files: correct them, or take their records out",
    )


@dataclass(frozen=True)
class LoadedBatch:
    """A micro-batch on the host, the keys of its samples, and the bad samples met while reading it."""

    batch: Batch
    keys: tuple[str, ...]
    bad: tuple[tuple[int, UnusableSample], ...]

    def pin_memory(self) -> "LoadedBatch":
        return LoadedBatch(self.batch.pin_memory(), self.keys, self.bad)


class MicroBatches(Dataset):
    """Item (step * micro_steps + m): one micro-batch, a pure function of its number."""

    def __init__(self, source: Source, fields: Fields, split: str, layout: Layout, seed: int):
        self.source, self.fields, self.split, self.layout, self.seed = source, fields, split, layout, seed
        self.size = source.size(split)
        self.order = SampleOrder(self.size, seed, source.together)

    def __getitem__(self, item: int) -> LoadedBatch:
        step, m = divmod(item, self.layout.micro_steps)
        samples, numbers, bad = [], [], []
        for position in self.layout.rows(step, m):
            number, epoch = self.order(position)
            sample, met = fetch(self.source, self.split, number, epoch, self.seed, self.size, self.fields.source)
            samples.append(sample)
            numbers.append(number)
            bad += met
        return LoadedBatch(self.fields.batch(samples, numbers), tuple(sample.key for sample in samples), tuple(bad))


class _Kept(Dataset):
    """The same items; an error meant for a person, or a plug-in's own, comes as an item, since torch would bury it in a
    traceback."""

    def __init__(self, data: Dataset):
        self.data = data

    def __getitem__(self, item: int) -> LoadedBatch | VlobjError:
        try:
            return self.data[item]
        except Exception as error:
            told = None if out_of_memory(error) else blamed(error)
            if told is None:
                raise
            return told


def micro_batches(data: Dataset, first: int, last: int, workers: int, pin: bool) -> Iterator[LoadedBatch]:
    """Items first..last-1 in order, read ahead by `workers` processes (0: in this one).

    Raises what reading raises, and ResourceError when a worker died while handing over; else torch says so wherever
    this
    process then is (`means.worker_died`).
    """
    if workers == 0:
        for item in range(first, last):
            yield data[item]
        return
    loader = DataLoader(
        _Kept(data),
        batch_size=None,
        sampler=range(first, last),
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4,
        worker_init_fn=_settle_worker,
    )
    try:
        for item in loader:
            if isinstance(item, VlobjError):
                raise item
            yield item
    except (ConnectionError, EOFError) as error:  # a worker died while it handed a batch over
        if str(error).startswith("Caught "):  # the source's own, which torch passes on
            raise
        raise ResourceError(
            f"a loader worker died: {str(error) or type(error).__name__}",
            "free memory, or lower data.workers; the run folder goes on from its last checkpoint",
        ) from error


def _settle_worker(_: int) -> None:
    """Workers leave signals to the process that trains, end with it, and take one core each."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    die_with_parent()
    torch.set_num_threads(1)


@dataclass(frozen=True)
class HeldBatches(Dataset):
    """Item k: batch k of a held-out split in order of number, epoch 0, of `rows` rows (the last one may be shorter)."""

    source: Source
    fields: Fields
    split: str
    size: int
    rows: int
    seed: int

    def __len__(self) -> int:
        return -(-self.size // self.rows)

    def __getitem__(self, item: int) -> LoadedBatch:
        numbers = range(item * self.rows, min((item + 1) * self.rows, self.size))
        found = [
            fetch(self.source, self.split, number, 0, self.seed, self.size, self.fields.source) for number in numbers
        ]
        samples = [sample for sample, _ in found]
        return LoadedBatch(
            self.fields.batch(samples, numbers),
            tuple(sample.key for sample in samples),
            tuple(one for _, met in found for one in met),
        )


def in_order(
    source: Source,
    fields: Fields,
    split: str,
    size: int,
    batch: int,
    seed: int,
    workers: int = 0,
    pin: bool = False,
    met: dict[int, UnusableSample] | None = None,
) -> Iterator[Batch]:
    """A held-out split in order of number, read ahead as `micro_batches` are.

    met  takes in the bad samples, by number, in whose place others stand
    """
    data = HeldBatches(source, fields, split, size, batch, seed)
    for loaded in micro_batches(data, 0, len(data), workers, pin):
        if met is not None:
            met.update(loaded.bad)
        yield loaded.batch
