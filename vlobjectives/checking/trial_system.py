"""What a check tries evaluations on: a few samples of the data, and a small form of the model with first weights."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import torch

from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.contracts.source import Source
from vlobjectives.data.data_module import DataModule
from vlobjectives.evaluation.context import SplitContext, held_out
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.plugin_loading.load import reason_of
from vlobjectives.recipe.yaml import dotted
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.resolved.tiny import small_config
from vlobjectives.runtime.distributed import SINGLE
from vlobjectives.system import assemble

SAMPLES, ROWS, TWINS = 8, 4, 2
"""Samples of a split, in batches of so many, and twins of a kind that evaluations are tried on."""


def little(resolved: Resolved, built: MetaBuild) -> tuple[Mapping[str, SplitContext], str]:
    """Source -> a few samples of a split that is evaluated, with the small form; nothing, and why, where that cannot
    be had."""
    recipe, made = resolved.recipe, built.made
    if made.first is None:
        return {}, "of the first records alone a field cannot learn"
    feeds = {
        name: replace(feed, fields=replace(feed.fields, readers=made.first.readers))
        for name, feed in made.feeds.items()
    }
    small = resolved.of_configs("part", {name: small_config(one) for name, one in resolved.of("part").items()})
    try:
        system = assemble.system(replace(small, world=SINGLE), DataModule(feeds, made.inputs)).eval()
    except Exception as error:  # a part that has no small form for this data
        why = f"{dotted(error.path)}: {error.why}" if isinstance(error, BuildError) else reason_of(error)
        return {}, f"a small form of the model cannot be made ({why})"
    found = {}
    for name, feed in feeds.items():
        wished = (*(recipe.evaluate.splits or ()), *held_out(feed.source))
        if split := next((split for split in wished if feed.source.size(split)), ""):
            found[name] = SplitContext(
                system, cast(Source, Few(feed.source)), feed.fields, split, recipe.seed, ROWS, torch.device("cpu")
            )
    return found, ""


class Few:
    """A source of which there are a few samples, each read once."""

    def __init__(self, source: Source):
        self._source = source
        self._read: dict[tuple[Any, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def size(self, split: str) -> int:
        return min(SAMPLES, self._source.size(split))

    def sample(self, *which: Any) -> Any:
        if which not in self._read:
            self._read[which] = self._source.sample(*which)
        return self._read[which]

    def twins(self, split: str, kind: str, count: int) -> Any:
        return self._source.twins(split, kind, min(count, TWINS))
