"""A batch: what the loader made of a few samples. Read-only for everybody."""

from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from vlobjectives.contracts.definition import missing


class Rows:
    """Mixin of frozen dataclasses whose tensors all have a row axis in front.

    Nested Rows and mappings of tensors are followed; anything else is left as it is.
    """

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        """Return the same with `change` applied to every tensor in it."""
        return replace(self, **{f.name: _map(getattr(self, f.name), change) for f in fields(self)})

    def rows(self, index: slice | Tensor) -> Self:
        """Return some of the rows.

        Args:
            index: A slice, which views, or a tensor [R] of row numbers, which gathers.
        """
        if isinstance(index, slice):
            return self.map(lambda x: x[index] if x.dim() else x)
        return self.map(lambda x: x.index_select(0, index) if x.dim() else x)

    def to(self, device: torch.device | str) -> Self:
        """Return the same on another device. A copy to the CPU is waited for: nobody could tell when it is there."""
        away = torch.device(device).type != "cpu"
        return self.map(lambda x: x.to(device, non_blocking=away))

    def pin_memory(self) -> Self:
        """Return the same in page-locked memory; called by torch's loader."""
        return self.map(Tensor.pin_memory)


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Rows):
        return value.map(change)
    if isinstance(value, Mapping):
        return {key: _map(item, change) for key, item in value.items()}
    return value


@dataclass(frozen=True, eq=False)
class Tokens(Rows):
    """Token sequences, each of begin, its fields in order, end, padding.

    Attributes:
        ids: [B,L] int64.
        valid: [B,L] bool, False at padding.
        special: [B,L] bool, True at begin, end and padding.
        segment: [B,L] int64, the number of the field that a position belongs to (begin: 0, end and padding: the last).
        beside: The input's fields that are no tokens, by name (detector regions beside their tags). Masks work on the
            sequence and leave these alone.
        word: [B,L] int64, the number of the word that a token belongs to, from 1 upwards; 0 at begin, end and padding.
            None in a batch made by hand: every token is a word.
    """

    ids: Tensor
    valid: Tensor
    special: Tensor
    segment: Tensor
    beside: Mapping[str, Any] = field(default_factory=dict)
    word: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Labels(Rows):
    """A set of at most M labels a sample.

    Attributes:
        ids: [B,M].
        valid: [B,M] bool.
        value: [B,M], a number for each label, 1 by default.
    """

    ids: Tensor
    valid: Tensor
    value: Tensor


@dataclass(frozen=True, eq=False)
class Vectors(Rows):
    """At most M vectors a sample, each of W numbers.

    Attributes:
        values: [B,M,W], 0 where there is none.
        valid: [B,M] bool.
    """

    values: Tensor
    valid: Tensor


@dataclass(frozen=True, eq=False)
class Batch(Rows):
    """Samples side by side; `batch["image"]` and `batch["text"]` are inputs, `batch["tags"]` a field.

    No Mapping, which torch's loader and libraries that move batches would take apart and put together by their own
    rules: they leave it whole, and call its `to` and `pin_memory`.

    Attributes:
        number: [B] int64, the samples' numbers in their split; all randomness hangs on it.
        same: [B] int64, equal numbers mean the same picture.
        values: Input or field name -> Tensor (pictures: normalised floats [B,C,H,W] or [B,F,C,H,W]), Tokens, Labels or
            Vectors.
        source: The name of the source that all its samples come from; "" where there is one alone.
    """

    number: Tensor
    same: Tensor
    values: Mapping[str, Any]
    source: str = ""

    def __getitem__(self, name: str) -> Any:
        try:
            return self.values[name]
        except KeyError:
            raise missing("input or field in the batch called", name, self.values) from None

    def __contains__(self, name: object) -> bool:
        return name in self.values

    __iter__ = None  # or Python would count upwards through __getitem__

    @property
    def size(self) -> int:
        """B, the number of rows."""
        return self.number.shape[0]
