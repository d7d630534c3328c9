"""What the data of a source is, before anything trains on it: what `vlobj data` shows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vlobjectives.checking.records import LOOKED, flaws_of
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.source import DataSummary, Sample, Source, UnusableSample
from vlobjectives.errors import Problem
from vlobjectives.plugin_loading.attribution import given, work_of
from vlobjectives.recipe.model import source_path

LONGEST = 300
"""Characters of a value that are shown."""


@dataclass(frozen=True)
class FirstSample:
    """A training sample as it would be read.

    Attributes:
        key: What a person calls it.
        values: Column -> what stands there, in words.
        reason: Why it cannot be used; "" where it can.
    """

    key: str
    values: Mapping[str, str]
    reason: str = ""


@dataclass(frozen=True)
class DataOverview:
    """The data of one source.

    Attributes:
        name: The source's in a mix, else "".
        type: What a recipe calls the source.
        summary: Form of its files, and how its splits came about.
        columns: Name -> FieldSpec.
        sizes: Split -> samples.
        epochs: How often a run shows the training samples; None without a run.
        records: The first training samples.
        problems: What is wrong with the data.
        lost: Split -> samples that cannot be used, among those that were looked at.
        looked: How many files of each split were looked at; None: all, or there are none.
    """

    name: str
    type: str
    summary: DataSummary
    columns: Mapping[str, FieldSpec]
    sizes: Mapping[str, int]
    epochs: float | None
    records: tuple[FirstSample, ...]
    problems: tuple[Problem, ...]
    lost: Mapping[str, int]
    looked: int | None

    def as_data(self) -> dict[str, Any]:
        """The same as JSON holds it."""
        return {
            "type": self.type,
            "form": self.summary.form,
            "columns": {
                name: {"kind": spec.kind, "shape": list(spec.shape), "of_caption": spec.of_caption}
                for name, spec in self.columns.items()
            },
            "splits": dict(self.sizes),
            "split_by": self.summary.split_by,
            "epochs": self.epochs,
            "records": [
                {"key": record.key, "values": dict(record.values), "reason": record.reason} for record in self.records
            ],
            "unusable": dict(self.lost),
            "looked_at": self.looked,
            "problems": [
                {"note": one.note, "place": str(one.place or ""), "what": one.what, "hint": one.hint}
                for one in self.problems
            ],
        }


def overview(
    source: Source, name: str, type: str, rows: int, thorough: bool, seed: int = 0, epochs: float | None = None
) -> DataOverview:
    """Look at a source.

    Args:
        source: The source.
        name: Its name in a mix, else "".
        type: What a recipe calls it.
        rows: How many training samples are read.
        thorough: Look at the header of every file, not of the first hundred of each split.
        seed: The run's.
        epochs: How often a run shows its training samples.
    """
    path = source_path(name)
    with work_of(path, "looking at its records", source):
        sizes = {split: source.size(split) for split in source.splits()}
        flaws = flaws_of(path, source, thorough)
        records = tuple(_record(source, number, seed) for number in range(min(rows, sizes.get("train", 0))))
        summary = given(source.summary(), DataSummary, source.summary)
    lost: dict[str, int] = {}
    for flaw in flaws:
        if flaw.samples:
            lost[flaw.split] = lost.get(flaw.split, 0) + flaw.samples
    return DataOverview(
        name,
        type,
        summary,
        dict(source.columns),
        sizes,
        epochs,
        records,
        tuple(flaw.problem for flaw in flaws),
        lost,
        LOOKED if summary.form and not thorough and max(sizes.values(), default=0) > LOOKED else None,
    )


def _record(source: Source, number: int, seed: int) -> FirstSample:
    sample = given(source.sample("train", number, source.settled_epoch, seed), Sample | UnusableSample, source.sample)
    if isinstance(sample, UnusableSample):
        return FirstSample(sample.key, {}, sample.reason)
    return FirstSample(sample.key, {name: in_words(value) for name, value in sample.values.items()})


def in_words(value: Any) -> str:
    """What a value of a sample is: texts, numbers and lists of them as JSON, an array by type and shape."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        kind = str(value.dtype).removeprefix("torch.")
        return f"{kind} [{','.join(map(str, value.shape))}]"
    text = json.dumps(value, ensure_ascii=False, default=in_words)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
