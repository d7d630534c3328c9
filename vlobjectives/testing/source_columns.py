"""Checks of what a source's samples hold: every column, as its FieldSpec says, and by `value` as in the sample."""

from typing import Any

from vlobjectives.contracts.source import UnusableSample
from vlobjectives.data.differences import difference
from vlobjectives.data.field_kinds import KINDS
from vlobjectives.errors import PluginError
from vlobjectives.testing.check import CheckFailed, demand
from vlobjectives.testing.source_calls import drawn, looked_at, opened, samples
from vlobjectives.testing.toys import Toy


def as_declared(toy: Toy, name: str) -> None:
    source = opened(toy)
    if extra := [column for column in source.columns if not isinstance(column, str)]:
        raise CheckFailed(f"a column is called {extra[0]!r}, and a name is a text")
    highest: dict[str, float] = {}
    for split, number, _, sample in samples(source, toy.seed):
        place = f"sample {number} of {split}"
        demand(isinstance(sample.same, int), f"`same` of {place} is {sample.same!r}, not a whole number")
        demand(isinstance(sample.key, str), f"`key` of {place} is {sample.key!r}, not a text")
        for column, spec in source.columns.items():
            if column not in sample.values:
                raise CheckFailed(
                    f"{place} has no column '{column}', which `columns` declares",
                    "`values` holds every one of `columns`",
                )
            value = sample.values[column]
            _fits(f"'{column}' of {place}", spec, value)
            if spec.kind == "picture":
                white = 255.0 if str(getattr(value, "dtype", "")).endswith("uint8") else 1.0
                highest[column] = max(highest.get(column, 0.0), float(value.max()) / white)
    for column, white in highest.items():
        if 0 < white <= 1 / 200 and set(source.columns[column].std) != {1.0}:
            raise CheckFailed(
                f"the brightest '{column}' of all samples is {white:.4f} of white",
                "give uint8 from 0 to 255, or floats from 0 to 1; not floats cast to uint8, nor divided by 255 twice",
            )


def _fits(what: str, spec: Any, value: Any) -> None:
    """Raises CheckFailed where a value is not what its FieldSpec says."""
    if spec.kind == "raw":
        demand(value is not None, f"{what} is None; a sample that lacks it is an UnusableSample")
        return
    if spec.kind == "tokens":
        raise CheckFailed(f"{what} is declared as tokens", "a source gives texts of kind raw; a reader makes tokens")
    try:
        KINDS[spec.kind].collate(what, spec, [value])
    except PluginError as error:
        raise CheckFailed(error.what.replace(f"'{what}'", what), error.hint) from error
    except Exception as error:
        raise CheckFailed(f"{what} is no value of kind {spec.kind}: {type(error).__name__}: {error}") from error
    if spec.kind in ("labels", "vectors") and len(value) > spec.shape[0]:
        raise CheckFailed(f"{what} has {len(value)} entries, and its FieldSpec says {spec.shape[0]} at most")


def value_equals_sample(toy: Toy, name: str) -> None:
    source, other = opened(toy), opened(toy)
    for split, number, epoch in looked_at(source):
        sample = drawn(source, split, number, epoch, toy.seed)
        for column in source.columns:
            value = other.value(split, number, column, epoch, toy.seed)
            if isinstance(sample, UnusableSample):
                demand(
                    isinstance(value, UnusableSample),
                    f"sample {number} of {split} is unusable, and `value` gives its '{column}'",
                )
            elif where := difference(sample.values[column], value, column):
                raise CheckFailed(
                    f"`value` of number {number} of {split} in epoch {epoch} is not what its sample holds: {where}"
                )
