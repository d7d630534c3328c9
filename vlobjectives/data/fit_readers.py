"""Readers learn from the training split, once, before the model is built; the run folder keeps what they learned."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from vlobjectives.contracts.source import UnusableSample
from vlobjectives.data.data_module import DataModule
from vlobjectives.plugin_loading.attribution import work_of
from vlobjectives.recipe.model import source_path
from vlobjectives.run_folder import RunFolder
from vlobjectives.runtime.log import Log


def learned(made: DataModule, seed: int, place: RunFolder, log: Log, brought: Mapping[str, Any]) -> None:
    """Fits and saves what readers learn; the folder appears whole or not at all."""
    if not place.fields.is_dir():
        aside = place.path / f".fields-{os.getpid()}"
        fit(made, seed, log, brought)
        made.fields.save(aside)
        aside.rename(place.fields)


def fit(made: DataModule, seed: int, log: Log, brought: Mapping[str, Any]) -> None:
    """Lets readers learn from the training splits of all sources, one after the other, in order of number; those of
    fields that are brought do not. Weights of sources do not matter here: every sample is read once."""

    def rows(column: str) -> Iterator[Any]:
        with log.progress(made.size("train"), what=f"reading {column}") as bar:
            done = 0
            for feed in made.feeds.values():
                source, own = feed.source, feed.fields.renamed.get(column, column)
                if own not in source.columns:  # objectives that need it are not computed on this source's batches
                    continue
                for number in range(source.size("train")):
                    with work_of(source_path(feed.fields.source), f"reading '{own}' of number {number}", source):
                        value = source.value("train", number, own, source.settled_epoch, seed)
                    if not isinstance(value, UnusableSample):
                        yield value
                    if done % 256 == 0:
                        bar.to(done)
                    done += 1

    made.fields.fit(rows, brought)
