"""Counter-based randomness: the same key gives the same numbers in every process and in any order of calls.

Plain integers (SplitMix64), because a NumPy generator costs more to make than a scene needs of it, and because the
streams of NumPy's distributions may change between versions.
"""

from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

T = TypeVar("T")
_ALL = (1 << 64) - 1
_STEP = 0x9E3779B97F4A7C15


def stream(name: str) -> int:
    """A number for a name, to keep apart what is drawn for different purposes under the same key."""
    return crc32(name.encode())


def _mix(word: int) -> int:
    """SplitMix64's finaliser: 64 bits in, 64 well-mixed bits out."""
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _ALL
    return word ^ (word >> 31)


class Dice:
    """An endless row of random numbers that belongs to a key of integers."""

    __slots__ = ("_state",)

    def __init__(self, *key: int):
        state = 0
        for part in key:
            state = _mix((state + _STEP + (part & _ALL)) & _ALL)
        self._state = state

    def word(self) -> int:
        """The next 64 bits."""
        self._state = (self._state + _STEP) & _ALL
        return _mix(self._state)

    def below(self, n: int) -> int:
        """A whole number 0..n-1; the bias of the multiplication is below n / 2**64."""
        return (self.word() * n) >> 64

    def chance(self, share: float) -> bool:
        """True with this probability."""
        return self.word() < share * 2.0**64

    def pick(self, choices: Sequence[T]) -> T:
        """One of them, all equally likely."""
        return choices[self.below(len(choices))]

    def weighted(self, weights: Sequence[float]) -> int:
        """An index, with probability in proportion to its weight."""
        point = self.word() / 2.0**64 * sum(weights)
        for index, weight in enumerate(weights):
            point -= weight
            if point < 0:
                return index
        return max(index for index, weight in enumerate(weights) if weight > 0)  # rounding only

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in random order."""
        rest = list(items)
        for last in range(len(rest) - 1, 0, -1):
            other = self.below(last + 1)
            rest[last], rest[other] = rest[other], rest[last]
        return rest
