"""Whether what a source gives is what its columns say: the first samples of each split, every kind, asked for twice."""

from collections.abc import Iterator

from vlobjectives.contracts.source import Sample
from vlobjectives.data.data_module import DataModule
from vlobjectives.data.differences import difference
from vlobjectives.data.field_kinds import KINDS
from vlobjectives.data.streams import DataStream
from vlobjectives.errors import DataError, PluginError, Problem
from vlobjectives.plugin_loading.attribution import work_of
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import source_path

FIRST = 2


def first_samples(loaded: Loaded, made: DataModule) -> Iterator[Problem]:
    """What is wrong with the first samples of each source: one problem a source and column."""
    for name, feed in made.feeds.items():
        told: set[str] = set()
        for split in feed.source.splits():
            with work_of(source_path(name), f"reading the first samples of {split}", feed.source):
                for column, what, hint in _wrong(feed, split, loaded.recipe.seed):
                    if column not in told:
                        told.add(column)
                        yield loaded.problem(source_path(name), what, hint)


def _wrong(feed: DataStream, split: str, seed: int) -> Iterator[tuple[str, str, str]]:
    """(column, what is wrong with it, hint) in the first samples of a split."""
    source = feed.source
    numbers = range(min(FIRST, source.size(split)))
    try:
        first, again = (
            {number: source.sample(split, number, source.settled_epoch, seed) for number in order}
            for order in (numbers, reversed(numbers))
        )
    except DataError:  # the records' own check says it
        return
    samples = {number: sample for number, sample in first.items() if isinstance(sample, Sample)}
    for column, spec in source.columns.items():
        lacking = next((number for number, sample in samples.items() if column not in sample.values), None)
        if lacking is not None:
            what = f"sample {lacking} of {split} has no column '{column}', which `columns` of its source declares"
            yield column, what, "`values` of a sample holds every one of `columns`"
            continue
        if spec.kind in KINDS:
            try:
                KINDS[spec.kind].collate(column, spec, [sample.values[column] for sample in samples.values()])
            except PluginError as error:
                yield column, error.what, error.hint
                continue
        for number, sample in samples.items():
            other = again[number]
            where = (
                difference(sample.values[column], other.values.get(column), f"'{column}'")
                if isinstance(other, Sample)
                else f"it is an UnusableSample ({other.reason})"
            )
            if where:
                what = f"sample {number} of {split} is another one when it is asked for again: {where}"
                yield column, what, "draw by (seed, epoch, number) alone, as with functional.prng_key"
                break
