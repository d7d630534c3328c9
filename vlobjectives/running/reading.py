"""Readers learn from the training split, once, before the model is built; the run folder keeps what they learned."""

import os
from collections.abc import Mapping
from typing import Any

from vlobjectives.contracts.source import Bad
from vlobjectives.running import assemble
from vlobjectives.running.folder import RunFolder
from vlobjectives.running.log import Log


def learned(made: assemble.Pieces, seed: int, place: RunFolder, log: Log, brought: Mapping[str, Any]) -> None:
    """Fits and saves what readers learn; the folder appears whole or not at all."""
    if not place.fields.is_dir():
        aside = place.path / f".fields-{os.getpid()}"
        fit(made, seed, log, brought)
        made.fields.save(aside)
        aside.rename(place.fields)


def fit(made: assemble.Pieces, seed: int, log: Log, brought: Mapping[str, Any]) -> None:
    """Lets readers learn from the training split, in order of number; those of fields that are brought do not."""
    source = made.source
    size = source.size("train")

    def rows(column: str):
        with log.progress(size, what=f"reading {column}") as bar:
            for number in range(size):
                value = source.value("train", number, column, source.settled_epoch, seed)
                if not isinstance(value, Bad):
                    yield value
                if number % 256 == 0:
                    bar.to(number)
    made.fields.fit(rows, brought)
