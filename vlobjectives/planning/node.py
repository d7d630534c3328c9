"""An entry of a plan."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from vlobjectives.contracts.passes import Key, RequestedOutputs, View

K = TypeVar("K", bound=Key, covariant=True)


@dataclass(frozen=True)
class PlanNode(Generic[K]):
    """One entry of a plan: a pass, a draw or a choice of pairs.

    reading  what all consumers together take from the pass
    consumers  objectives, masks and pairings that asked, in the order of asking
    trained  False where only masks and pairings asked, and of averaged weights: it runs without gradient
    """

    key: K
    reading: RequestedOutputs
    consumers: tuple[str, ...]
    trained: bool

    @property
    def titles(self) -> tuple[str, ...]:
        """The title of each view that it computes: of a stack those of its inputs."""
        return tuple(view.title for view in self.key.members) if isinstance(self.key, View) else (self.key.title,)
