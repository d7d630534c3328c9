"""Samples that are none of the data, as a batch of the run: pictures framed as held-out ones, texts by its readers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vlobjectives.contracts.batch import Batch, Labels
from vlobjectives.contracts.source import Sample
from vlobjectives.data.collate import Fields
from vlobjectives.data.streams import DataStream
from vlobjectives.data.user_pictures import listed, seen
from vlobjectives.errors import DataError, VlobjError
from vlobjectives.plugin_loading.attribution import an, blamed, whose
from vlobjectives.plugin_loading.load import reason_of
from vlobjectives.runtime.resources import out_of_memory


def columns(fields: Fields, inputs: Iterable[str] | None = None) -> tuple[str, ...]:
    """The columns, as the recipe calls them, that a batch is made of; with `inputs` those of these inputs alone."""
    names = [name for key in (fields.inputs if inputs is None else inputs) for name in fields.inputs[key]]
    names += fields.lone if inputs is None else ()
    return tuple(dict.fromkeys(fields.of.get(name, name) for name in names))


def framed(
    feed: DataStream, samples: Sequence[Mapping[str, Any]], max_pixels: int, inputs: Iterable[str] | None = None
) -> list[Sample]:
    """The user's samples as the source would give them.

    Args:
        feed: The source whose framing is used, with its fields.
        samples: Column -> value, columns named as the recipe calls them; columns that nothing reads are passed over.
        max_pixels: The most pixels that a picture may have.
        inputs: The inputs that are read; None is the whole batch.

    Raises:
        DataError: A sample is no mapping, lacks a column, or holds something in a picture's place that is none.
    """
    needed = columns(feed.fields, inputs)
    return [
        _framed(feed, needed, number, sample, max_pixels) for number, sample in enumerate(listed(samples, "samples"))
    ]


def _framed(feed: DataStream, needed: Sequence[str], number: int, sample: Any, max_pixels: int) -> Sample:
    if not isinstance(sample, Mapping):
        raise DataError(
            f"sample {number} is {an(sample)} and no mapping of columns to values",
            f"give {{{', '.join(f'{name!r}: ...' for name in needed)}}}",
        )
    if lacking := [name for name in needed if name not in sample]:
        raise DataError(
            f"sample {number} has no column '{lacking[0]}'; it has {', '.join(map(str, sample)) or 'none'}",
            f"a batch of this recipe is made of {', '.join(needed)}",
        )
    fields, values = feed.fields, {}
    for name in needed:
        value, spec = sample[name], fields.columns[name]
        try:
            shown = seen(feed, spec, value, max_pixels) if spec.kind == "picture" else value
        except DataError as error:
            raise DataError(f"sample {number}, '{name}': {error.what}", error.hint, error.place) from error
        values[fields.renamed.get(name, name)] = shown
    return Sample(values, number, f"sample {number}")


def batch(
    fields: Fields, samples: Sequence[Sample], numbers: Sequence[int], inputs: Sequence[str] | None = None
) -> Batch:
    """Samples side by side, each the only one of its picture. Raises DataError for the first that cannot be read."""
    samples = [replace(sample, same=number) for sample, number in zip(samples, numbers, strict=True)]
    try:
        return _labelled(fields, fields.batch(samples, numbers, inputs), samples)
    except Exception as error:
        if out_of_memory(error):
            raise
        for sample, number in zip(samples, numbers):
            _refuse_unreadable(fields, sample, number, inputs)
        raise


def _labelled(fields: Fields, made: Batch, samples: Sequence[Sample]) -> Batch:
    """The batch itself. Raises DataError where a label is none of its field's."""
    for name, value in made.values.items():
        if isinstance(value, Labels) and not bool(
            ((value.ids >= 0) & (value.ids < fields.spec(name).vocabulary)).all()
        ):
            raise DataError(
                f"'{name}' has a label that is none of its {fields.spec(name).vocabulary}", "labels count from 0"
            )
    return made


def _refuse_unreadable(fields: Fields, sample: Sample, number: int, inputs: Sequence[str] | None) -> None:
    """Raises DataError if this sample by itself cannot be read."""
    try:
        _labelled(fields, fields.batch([sample], [number], inputs), [sample])
    except Exception as error:
        told = blamed(error)
        what = told.what if isinstance(told, VlobjError) else reason_of(error)
        at = ".".join(map(str, note.path)) if (note := whose(error)) else ""
        what = what if not at or at in what else f"{at}: {what}"
        hint = told.hint if isinstance(told, DataError) else ""
        raise DataError(
            f"{sample.key} cannot be read: {what}", hint or "give each column what the run's own data has in it"
        ) from error
