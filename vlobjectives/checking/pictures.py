"""Whether the pictures that a source gives can stand in a batch: of the shape, type and scale that its columns say."""

from collections.abc import Iterator

from vlobjectives.contracts.source import Sample
from vlobjectives.data.data_module import DataModule
from vlobjectives.data.field_kinds import KINDS
from vlobjectives.data.streams import DataStream
from vlobjectives.errors import PluginError, Problem
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import source_path

FIRST = 2


def pictures(loaded: Loaded, made: DataModule) -> Iterator[Problem]:
    """What is wrong with the first training pictures of each source, where no reader stands between."""
    for name, feed in made.feeds.items():
        for column, spec in feed.source.columns.items():
            if spec.kind != "picture":
                continue
            try:
                KINDS["picture"].collate(
                    column,
                    spec,
                    [sample.values[column] for sample in _first(feed, loaded.recipe.seed) if column in sample.values],
                )
            except PluginError as error:
                yield loaded.problem(source_path(name), error.what, error.hint)


def _first(feed: DataStream, seed: int) -> list[Sample]:
    source = feed.source
    samples = (
        source.sample("train", number, source.settled_epoch, seed) for number in range(min(FIRST, source.size("train")))
    )
    return [sample for sample in samples if isinstance(sample, Sample)]
