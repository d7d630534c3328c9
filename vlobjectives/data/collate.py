"""Samples to batches: columns through their readers, token fields joined into sequences, pictures normalised."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from vlobjectives.contracts.batch import Batch, Tokens
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.parts import CannotBuild
from vlobjectives.contracts.reader import Reader, TokenEncoding
from vlobjectives.contracts.source import Sample
from vlobjectives.data.field_kinds import KINDS
from vlobjectives.errors import DataError, Place, PluginError, VlobjError
from vlobjectives.files import GONE, read
from vlobjectives.plugin_loading.attribution import given, work_of
from vlobjectives.plugin_loading.load import reason_of
from vlobjectives.recipe.model import source_path


@dataclass
class Fields:
    """The fields of a recipe as one source fills them: where each comes from and who reads it.

    columns  the source's columns, those in `renamed` under the recipe's name too
    readers  field -> its reader
    of       field -> the column that it reads
    inputs   input that the source feeds -> names of its fields, in order
    lone     fields that go into the batch by themselves (some objective or mask reads them); one of tokens as a text
             of its own
    renamed  column as the recipe calls it -> as the source does, where that differs
    source   the source's name
    """

    columns: Mapping[str, FieldSpec]
    readers: Mapping[str, Reader]
    of: Mapping[str, str]
    inputs: Mapping[str, Sequence[str]]
    lone: Sequence[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    source: str = ""

    def spec(self, name: str) -> FieldSpec:
        """The FieldSpec of a field; a column that needs no reader is a field as it is."""
        return self.readers[name].spec if name in self.readers else self.columns[name]

    def specs(self, names: Iterable[str]) -> dict[str, FieldSpec]:
        return {name: self.spec(name) for name in names}

    def of_caption(self, name: str) -> bool:
        """Whether a field is made of the caption, through whatever reader."""
        return self.columns[self.of.get(name, name)].of_caption

    def fit(self, rows: Any, brought: Mapping[str, Any] | None = None) -> None:
        """Lets every reader learn; `rows(column)` iterates the training split's values of a column.

        brought  field -> what a reader had learned elsewhere: it takes that back and does not learn
        """
        for name, reader in self.readers.items():
            with work_of(("fields", name), "learning", reader):
                if brought and name in brought:
                    reader.load(brought[name])
                else:
                    reader.fit(rows(self.of[name]))

    def save(self, folder: Path) -> None:
        """What readers learned, as fields/NAME.json."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, reader in self.readers.items():
            try:
                text = json.dumps(reader.state(), ensure_ascii=False, allow_nan=False)
            except (TypeError, ValueError) as error:
                raise PluginError(
                    f"what the field '{name}' learned is no JSON: {error}",
                    "its reader's `state` gives numbers that are finite, texts, lists and mappings alone",
                ) from error
            (folder / f"{name}.json").write_text(text, encoding="utf-8")

    def load(self, folder: Path, digests: Mapping[str, str] | None = None) -> None:
        """Takes back what `save` wrote. Raises as `learned` does, and DataError where a reader does not take it."""
        for name, reader in self.readers.items():
            state = learned(folder, name, digests)
            try:
                reader.load(state)
            except (VlobjError, CannotBuild, MemoryError):
                raise
            except Exception as error:  # a third party's code on a file that anybody may have changed
                raise _unlearned(folder, name, f"its reader does not take it back ({reason_of(error)})") from error

    def batch(self, samples: Sequence[Sample], numbers: Iterable[int], inputs: Iterable[str] | None = None) -> Batch:
        """Samples side by side, uint8 pictures as they are (see `normalised`); with `inputs` those inputs alone."""
        values: dict[str, Any] = {}
        for name in self.inputs if inputs is None else inputs:
            fields = self.inputs[name]
            tokens = [field for field in fields if self.spec(field).kind == "tokens"]
            if not tokens:
                values[name] = self._plain(fields[0], samples)
                continue
            beside = {field: self._plain(field, samples) for field in fields if field not in tokens}
            values[name] = replace(self._sequence(tokens, samples), beside=beside)
        for name in self.lone if inputs is None else ():
            text = self.spec(name).kind == "tokens"
            values[name] = self._sequence([name], samples) if text else self._plain(name, samples)
        return Batch(
            torch.tensor(list(numbers), dtype=torch.int64),
            torch.tensor([sample.same for sample in samples], dtype=torch.int64),
            values,
            self.source,
        )

    def normalised(self, batch: Batch) -> Batch:
        """The batch as encoders get it: uint8 pictures as floats less `mean` over `std`. Run on the device."""
        specs = {name: self.spec(self.inputs.get(name, (name,))[0]) for name in batch.values}
        values = {
            name: KINDS[specs[name].kind].normalize(value, specs[name]) if specs[name].kind in KINDS else value
            for name, value in batch.values.items()
        }
        return replace(batch, values=values)

    def _read(self, name: str, sample: Sample) -> Any:
        column = self.of.get(name, name)
        own = self.renamed.get(column, column)
        if own not in sample.values:
            raise DataError(
                f"the sample {sample.key} has no column '{own}', which its source declares",
                "correct the source: `values` of a sample holds every one of `columns`",
            )
        if name not in self.readers:
            return sample.values[own]
        with self._work_of(name, f"reading '{column}' of {sample.key}"):
            return self.reads(name, sample.values[own])

    def reads(self, name: str, value: Any) -> Any:
        """What a field's reader makes of a value of its column."""
        reader = self.readers[name]
        read, spec = reader.read(value), reader.spec
        if spec.kind != "tokens":
            return read
        pieces: TokenEncoding = given(read, TokenEncoding, reader.read)
        most = spec.vocabulary
        if pieces.ids and most and not 0 <= min(pieces.ids) <= max(pieces.ids) < most:
            outside = [number for number in pieces.ids if not 0 <= number < most]
            raise PluginError(
                f"'{name}' has the token ids {outside[:8]}, and its vocabulary is {most}",
                "give ids from 0 to one less than FieldSpec.vocabulary",
            )
        return pieces

    def row(self, name: str, value: Any) -> Any:
        """What a field's reader makes of a value, as a batch of one holds it; tokens as they are read.

        Raises PluginError where that is not what its FieldSpec says.
        """
        read, spec = self.reads(name, value), self.spec(name)
        return KINDS[spec.kind].collate(name, spec, [read]) if spec.kind in KINDS else read

    def _plain(self, name: str, samples: Sequence[Sample]) -> Any:
        """A field of samples side by side; what cannot stand so is its reader's fault, or without one its source's."""
        rows = [self._read(name, sample) for sample in samples]
        with self._work_of(name, f"putting rows of '{name}' side by side"):
            spec = self.spec(name)
            return KINDS[spec.kind].collate(name, spec, rows)

    def _work_of(self, name: str, what: str) -> AbstractContextManager:
        """A context in which a field's reader is at work, or where it needs none its source."""
        path = ("fields", name) if name in self.readers else source_path(self.source)
        return work_of(path, what, self.readers.get(name))

    def _sequence(self, names: Sequence[str], samples: Sequence[Sample]) -> Tokens:
        specs = [self.spec(name) for name in names]
        length, special = sum(spec.shape[0] for spec in specs), specs[0].special
        ids = torch.full((len(samples), length), special["pad"], dtype=torch.int64)
        segment, word = torch.full_like(ids, len(names) - 1), torch.zeros_like(ids)
        ends = torch.empty(len(samples), dtype=torch.int64)
        for row, sample in enumerate(samples):
            line, where, words, end = [special["begin"]], [0], [0], -1
            for place, (name, spec) in enumerate(zip(names, specs)):
                pieces: TokenEncoding = self._read(name, sample)
                end += spec.shape[0]  # what fields before it left is a field's too
                kept = pieces.ids[: end - len(line)]
                line += kept
                where += [place] * len(kept)
                words += _words(pieces, len(kept), words[-1])
            line.append(special["end"])
            ids[row, : len(line)] = torch.tensor(line)
            segment[row, : len(where)], word[row, : len(words)] = torch.tensor(where), torch.tensor(words)
            ends[row] = len(line)
        position = torch.arange(length)
        valid = position < ends[:, None]
        return Tokens(ids, valid, ~valid | (position == 0) | (position == ends[:, None] - 1), segment, word=word)


def learned(folder: Path, name: str, digests: Mapping[str, str] | None = None) -> Any:
    """What a field learned, as `Fields.save` wrote it. Raises DataError where it is damaged or no more what the run
    learned, ResourceError where it cannot be read.

    digests  field -> sha256 of the file, as the run's manifest has it
    """
    try:
        raw = read(folder / f"{name}.json")
        state = json.loads(raw)
    except GONE as error:
        raise _unlearned(folder, name, "there is no such file") from error
    except ValueError as error:
        raise _unlearned(folder, name, f"it is damaged ({error})") from error
    known = (digests or {}).get(name)
    if known is not None and hashlib.sha256(raw).hexdigest() != known:
        raise DataError(
            f"this is not what the field '{name}' learned: the file differs from its hash in manifest.json",
            f"put it back from a copy; `vlobj run {folder.parent} --accept-changes` takes it as it is",
            Place(str(folder / f"{name}.json")),
        )
    return state


def _unlearned(folder: Path, name: str, why: str) -> DataError:
    return DataError(
        f"what the field '{name}' learned cannot be read: {why}",
        f"take {folder} away, and `vlobj run` with the run folder learns it anew from the same data",
        Place(str(folder / f"{name}.json")),
    )


def room(spec: FieldSpec, place: int) -> int:
    """Pieces that a field of tokens holds as number `place` of its input; begin and end count to the first.

    Behind a field that is not full it may hold more: it fills what those before it left.
    """
    return spec.shape[0] - (2 if place == 0 else 0)


def _words(pieces: TokenEncoding, count: int, last: int) -> list[int]:
    """The numbers of the words of a field's first `count` pieces, counted on from `last`."""
    numbers = (pieces.words or range(count))[:count]
    starts = [place == 0 or number != numbers[place - 1] for place, number in enumerate(numbers)]
    return [last + so_far for so_far in accumulate(starts)]
