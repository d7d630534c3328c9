"""Arguments of a part's call, without those that hold no tensor."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from vlobjectives.contracts.batch import Rows


@dataclass(frozen=True)
class Arguments:
    """Arguments of a part, which come before whatever holds no tensor."""

    values: tuple[Rows | Tensor, ...]

    def map(self, change: Callable[[Tensor], Tensor]) -> "Arguments":
        return Arguments(tuple(change(x) if isinstance(x, Tensor) else x.map(change) for x in self.values))
