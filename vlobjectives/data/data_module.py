"""The data side of a recipe: its sources, the readers that all of them share, and what each input is fed."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.config import SourceConfig
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.passes import Input, InputTable
from vlobjectives.contracts.reader import Reader
from vlobjectives.contracts.source import Source
from vlobjectives.data.collate import Fields, learned
from vlobjectives.data.streams import DataStream, turns
from vlobjectives.plugin_loading.attribution import given, work_of
from vlobjectives.plugin_loading.instantiate import asked_for, config_of, placed
from vlobjectives.recipe.model import DataEntry, source_path
from vlobjectives.resolved.resolved import Resolved


@dataclass
class DataModule:
    """What a recipe names, made but not yet joined. Readers are the same for all sources.

    first  the fields with readers that learned from the first records alone, where a check has let them
    """

    feeds: Mapping[str, DataStream]
    inputs: Mapping[str, Input]
    first: Fields | None = None

    @property
    def source(self) -> Source:
        """The first source, which is the only one where nothing is mixed."""
        return next(iter(self.feeds.values())).source

    @property
    def fields(self) -> Fields:
        """The first source's, with what it cannot feed from those that can; what readers learned is that of all."""
        return self.fields_on(None)

    def fields_on(self, sources: Sequence[str] | None) -> Fields:
        """The same, these sources before all others."""
        first, *others = (self.feeds[name].fields for name in dict.fromkeys([*(sources or ()), *self.feeds]))
        columns, inputs = dict(first.columns), dict(first.inputs)
        for other in others:
            columns, inputs = {**other.columns, **columns}, {**other.inputs, **inputs}
        return replace(first, columns=columns, inputs=inputs) if others else first

    def lacking(self, source: str, name: str) -> tuple[str, ...]:
        """The columns of an input, or of a field that is read by itself, that a source does not have."""
        fields = self.feeds[source].fields
        read = self.fields.inputs.get(name, (name,))
        return tuple(column for field in read if (column := fields.of.get(field, field)) not in fields.columns)

    def source_at(self, step: int) -> str:
        """The name of the source that a training step's batch comes from."""
        return list(self.feeds)[turns(self.feeds)(step)[0]]

    def size(self, split: str) -> int:
        """Samples of a split, of all sources together."""
        return sum(feed.source.size(split) for feed in self.feeds.values())

    def splits(self) -> tuple[str, ...]:
        """The splits in which some source has samples."""
        return tuple(
            dict.fromkeys(
                split for feed in self.feeds.values() for split in feed.source.splits() if feed.source.size(split)
            )
        )

    def digest(self) -> str:
        """What the data is: the source's own digest, of several one over theirs."""
        found = {}
        for name, feed in self.feeds.items():
            with work_of(source_path(name), "taking its digest", feed.source):
                found[name] = given(feed.source.digest(), str, feed.source.digest)
        if len(found) == 1:
            return next(iter(found.values()))
        text = "\n".join(f"{name} {digest}" for name, digest in found.items())
        return hashlib.sha256(text.encode()).hexdigest()

    def of_inputs(self, entries: Mapping[str, Any]) -> "DataModule":
        """The same with the inputs of these entries alone."""
        inputs = InputTable({name: Input(name, entry.part, entry.mask) for name, entry in entries.items()})
        return replace(self, inputs=inputs)

    def normalised(self, batch: Batch) -> Batch:
        """The batch as encoders get it, by the mean and spread of its own source."""
        return self.feeds[batch.source].fields.normalised(batch)

    def read(self, part: str) -> Mapping[str, FieldSpec]:
        """The fields that an encoder reads, those of the first input that names it; of a mix of the source whose clips
        have most frames."""
        name = next((name for name, x in self.inputs.items() if x.part == part), "")
        of = (feed.fields.specs(feed.fields.inputs[name]) for feed in self.feeds.values() if name in feed.fields.inputs)
        return max(of, key=lambda specs: max((spec.frames for spec in specs.values()), default=1), default={})


def build_data(
    resolved: Resolved,
    described: bool = False,
    samples: bool = True,
    kept: Path | None = None,
    sources: Mapping[str, Source] | None = None,
    readers: Mapping[str, Any] | None = None,
) -> DataModule:
    """Sources, readers and inputs of a recipe; readers are not fitted yet, but those that `kept` knows.

    described  a source or reader that can tell from its Config alone what it gives (a classmethod `described`) does
               so and opens no file: what is made then serves for shapes, not for samples
    samples    False: so for the source alone; readers read
    kept       the folder of a run's fields: a reader comes back from what it had learned, without the files that its
               Config names
    sources, readers  those that are made already
    """
    recipe = resolved.recipe
    sources = sources or {name: make_source(resolved, name, described or not samples) for name in resolved.of("source")}
    made: dict[str, Any] = dict(readers or {})
    for name in recipe.fields:
        if name not in made:
            made[name] = make_reader(resolved, name, made, described, kept)
    readers = {name: made[name] for name in recipe.fields}
    inputs = InputTable({name: Input(name, entry.part, entry.mask) for name, entry in recipe.inputs.items()})
    return DataModule(
        {
            name: DataStream(source, _fields(resolved, name, source, readers), resolved.weights[name])
            for name, source in sources.items()
        },
        inputs,
    )


def make_source(resolved: Resolved, name: str = "", described: bool = False) -> Source:
    """A source of a recipe. Raises BuildError, or DataError where the data is not what it should be."""
    one = resolved.of("source")[name]
    more = asked_for(one.cls.__init__, {"max_pixels": resolved.recipe.data.max_pixels})
    with work_of(source_path(name), "opening it", one.cls):
        return placed(source_path(name), lambda: _told(one.cls, described)(one.config, **more))


def training_samples(resolved: Resolved, name: str) -> int | None:
    """How many training samples a source has; None where that cannot be told here, which is for `check` to explain."""
    try:
        return make_source(resolved, name).size("train")
    except Exception:
        return None


def open_source(cls: type[Source], options: Mapping[str, Any]) -> Source:
    """A source without a recipe, with these options of `data`. Raises DataError where the data is not what they say."""
    more = asked_for(cls.__init__, {"max_pixels": DataEntry.model_fields["max_pixels"].default})
    with work_of(source_path(""), "opening it", cls):
        return placed(source_path(""), lambda: cls(cast(SourceConfig, config_of(cls, options)), **more))


def _fields(resolved: Resolved, name: str, source: Source, readers: Mapping[str, Any]) -> Fields:
    """The fields as a source fills them. Of a mix it feeds the inputs alone whose columns it has."""
    recipe = resolved.recipe
    renamed = {ours: own for own, ours in (recipe.data.mix or {})[name].rename.items()} if name else {}
    again = {ours: source.columns[own] for ours, own in renamed.items() if own in source.columns}
    columns, of = {**source.columns, **again}, {field: recipe.column(field) for field in recipe.fields}

    def fed(field: str) -> bool:
        return not name or of.get(field, field) in columns

    inputs = {key: tuple(entry.fields) for key, entry in recipe.inputs.items() if all(map(fed, entry.fields))}
    lone = tuple(filter(fed, extra_fields(resolved, name)))
    return Fields(columns, readers, of, inputs, lone, renamed, name)


def make_reader(
    resolved: Resolved,
    name: str,
    readers: Mapping[str, Any],
    described: bool = False,
    kept: Path | None = None,
) -> Any:
    """The reader of a field; `readers` holds those that it names. Raises DataError where `kept` is damaged."""
    entry, one = resolved.recipe.fields[name], resolved.of("reader")[name]
    cls = one.cls
    named = {"with": readers.get(entry.with_ or ""), "of": readers.get(entry.of or "") if entry.of != name else None}
    shared = asked_for(cls.__init__, {key: reader for key, reader in named.items() if reader is not None})
    state = learned(kept, name) if kept is not None and (kept / f"{name}.json").is_file() else None
    with work_of(("fields", name), "making it", cls):
        if state is not None:
            return placed(("fields", name), lambda: cls.restored(one.config, state, **shared))
        return placed(("fields", name), lambda: _told(cls, described)(one.config, **shared))


@dataclass(frozen=True)
class DescribedComponent:
    """What a source or reader says of itself without a file being opened: it stands in its place in a plan."""

    config: Any
    columns: Any
    spec: Any
    framed: Any


def _told(cls: type[Source] | type[Reader], described: bool) -> Any:
    """What makes a source or reader: its class, or something that only says what that would give."""
    if not described:
        return cls

    def make(config: Any, **more: Any) -> Any:
        told = cls.described(config)
        if told is None:
            return cls(config, **more)
        return DescribedComponent(config, told, told, cls.framed if issubclass(cls, Source) else None)

    return make


def extra_fields(resolved: Resolved, source: str = "") -> tuple[str, ...]:
    """Fields that a mask, or an objective that is computed on a source's batches, reads by name."""
    found: dict[str, None] = {}
    objectives = [one for one in resolved.of("objective").values() if source in (one.sources or (source,))]
    for one in (*objectives, *resolved.of("mask").values()):
        found |= dict.fromkeys(one.config.named("field").values())
    return tuple(found)
