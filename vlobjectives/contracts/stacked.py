"""One pass for several inputs of a part: their rows stacked under each other, and taken apart again behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Rows
from vlobjectives.contracts.passes import MaskKey, PairsKey, PassInputs, Specs, View, ViewError
from vlobjectives.contracts.values import Encoded
from vlobjectives.contracts.views import EncodedView


@dataclass(frozen=True)
class StackedView(View):
    """Inputs of one shape as the rows of one pass of their encoder. The planner makes it of `EncodedView`s.

    Attributes:
        views: The passes that this one stands for, in the order of their rows.
    """

    views: tuple[EncodedView, ...]
    kind = "encoded"
    output = Encoded

    @property
    def members(self) -> tuple[View, ...]:
        return self.views

    @property
    def required(self) -> tuple[MaskKey | PairsKey, ...]:
        return tuple(dict.fromkeys(key for view in self.views for key in view.required))

    @property
    def title(self) -> str:
        inside = (view.title.removeprefix(f"{self.runner}(").removesuffix(")") for view in self.views)
        return f"{self.runner}({'; '.join(inside)})"

    @property
    def reads(self) -> str:
        return "; ".join(view.reads for view in self.views)

    def spec(self, model: Specs) -> Any:
        return self.views[0].spec(model)

    def arguments(self, given: PassInputs) -> tuple[Any, ...]:
        return tuple(stacked(each) for each in zip(*(view.arguments(given) for view in self.views), strict=True))


def stacked(values: Sequence[Any]) -> Any:
    """Stack what several inputs have, row under row.

    Args:
        values: Tensors [B,...] or `Rows` of one kind and shape, or what is equal for all of them.

    Returns:
        The same of K*B rows: those of the first, those of the second, and so on.

    Raises:
        ViewError: They are not of one kind.
    """
    first = values[0]
    if any(type(value) is not type(first) for value in values):
        raise ViewError(f"no rows of one pass: {', '.join(type(value).__name__ for value in values)}")
    if isinstance(first, Tensor):
        return torch.cat(list(values)) if first.dim() else first
    if isinstance(first, Rows):
        own = {f.name: stacked([getattr(value, f.name) for value in values]) for f in fields(first)}
        return replace(first, **own)
    if isinstance(first, Mapping):
        return {key: stacked([value[key] for value in values]) for key in first}
    return first


def apart(value: Any, count: int) -> list[Any]:
    """Take a value of K*B rows apart again.

    By one split of each tensor, whose gradient is one concatenation; of K slices it would be K sums over all rows.

    Args:
        value: A tensor, `Rows` or a mapping of them.
        count: K, how many were stacked.

    Returns:
        K values of B rows each.
    """
    if count == 1:
        return [value]
    if isinstance(value, Tensor):
        return list(value.chunk(count)) if value.dim() else [value] * count
    if isinstance(value, Rows):
        own = {f.name: apart(getattr(value, f.name), count) for f in fields(value)}
        return [replace(value, **{name: each[n] for name, each in own.items()}) for n in range(count)]
    if isinstance(value, Mapping):
        of = {key: apart(item, count) for key, item in value.items()}
        return [{key: each[n] for key, each in of.items()} for n in range(count)]
    return [value] * count
