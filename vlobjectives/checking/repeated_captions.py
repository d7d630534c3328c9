"""Captions that repeat: who takes their true pairs for wrong ones, and the line that says otherwise."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from vlobjectives.data.data_module import DataModule
from vlobjectives.data.streams import DataStream
from vlobjectives.errors import Problem
from vlobjectives.plugin_loading.attribution import work_of
from vlobjectives.plugin_loading.instantiate import config_of
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import source_path
from vlobjectives.resolved.resolved import Resolved

FIRST = 100
LEAST = 0.05
"""The share of repeating captions from which it is said."""
OPTION, VALUE = "positives", "equal_captions"
"""The option by which pairings and contrasts are told that equal captions are right for each other's pictures."""


def repeats(resolved: Resolved, made: DataModule) -> Iterator[Problem]:
    """A note for each source whose first captions repeat, where something is made of wrong pairs and was not told."""
    loaded, (deaf, lines) = resolved.loaded, _unaware(resolved)
    if not deaf and not lines:
        return
    hint = "; ".join([*(f"set {line}" for line in lines), *(f"{name} has no option for it" for name in deaf)])
    for name, feed in made.feeds.items():
        if name and len(feed.fields.inputs) < 2:  # texts alone make no pairs
            continue
        texts = _captions(loaded, feed)
        again = sum(count for count in Counter(texts).values() if count > 1)
        if again and again >= LEAST * len(texts):
            yield loaded.problem(
                source_path(name),
                f"{again} of the first {len(texts)} captions stand there more than "
                "once, and are taught to be wrong for each other's pictures",
                hint,
                note=True,
            )


def _captions(loaded: Loaded, feed: DataStream) -> list[str]:
    source = feed.source
    columns = [name for name, spec in source.columns.items() if spec.kind == "raw" and spec.of_caption]
    with work_of(source_path(feed.fields.source), "reading its captions", source):
        values = [
            source.value("train", number, column, source.settled_epoch, loaded.recipe.seed)
            for column in columns[:1]
            for number in range(min(FIRST, source.size("train")))
        ]
    return [value for value in values if isinstance(value, str)]


def _unaware(resolved: Resolved) -> tuple[list[str], list[str]]:
    """Pairings that cannot be told, and the lines that tell those pairings and objectives that can and were not."""
    deaf, lines = [], []
    for kind, section in (("pairing", "pairings"), ("objective", "objectives")):
        for name, one in resolved.of(kind).items():
            if OPTION not in type(one.config).model_fields:
                deaf += [f"{section}.{name}"] if kind == "pairing" else []
            elif getattr(one.config, OPTION) != VALUE and _takes(one.cls, one.entry.options):
                lines.append(f"{section}.{name}.{OPTION}: {VALUE}")
    return deaf, lines


def _takes(cls: type, options: dict[str, Any]) -> bool:
    try:
        config_of(cls, {**options, OPTION: VALUE})
    except ValidationError:
        return False
    return True
