"""Random numbers that are pure functions of (seed, stream, step, sample number)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Rows
from vlobjectives.functional import noise as arithmetic


@dataclass(frozen=True, eq=False)
class Noise(Rows):
    """A stream of random numbers for the samples of a batch.

    Calls with the same name give the same numbers. Row b depends on `number[b]` alone, so two processes draw what
    one would and a resumed run draws what the unstopped one would have.

    Attributes:
        seed: The run's seed; besides the sample, the numbers hang on `seed`, `stream` and `when`.
        stream: Name of the stream.
        when: The step in training, the split's name in evaluation.
        number: [B] int64, the samples' numbers.
    """

    seed: int
    stream: str
    when: int | str
    number: Tensor

    def _key(self, name: str) -> int:
        return arithmetic.prng_key(self.seed, self.stream, self.when, name)

    def __call__(self, name: str, *shape: int) -> Tensor:
        """Draw uniforms in [0,1).

        Args:
            name: Name of the draw.
            *shape: Shape of what each row gets.

        Returns:
            [B, *shape] float32.
        """
        return arithmetic.random_uniform(self._key(name), self.number, *shape)

    def between(self, name: str, others: Tensor | None = None) -> Tensor:
        """Draw a uniform in [0,1) for each pair of samples.

        It hangs on the numbers of both samples and not on their places: the order of rows changes nothing.

        Args:
            name: Name of the draw.
            others: [N] int64, numbers of the samples that stand against these; None: these themselves.

        Returns:
            [B,N] float32.
        """
        both = (self.number[:, None] << 32) | (self.number if others is None else others)
        return replace(self, number=both.flatten())(name).reshape(both.shape)

    def order(self, name: str, n: int) -> Tensor:
        """Draw a permutation of 0..n-1 for each row.

        Args:
            name: Name of the draw.
            n: How many numbers are permuted.

        Returns:
            [B,n] int64.
        """
        return arithmetic.permutation(self._key(name), self.number, n)

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Draw whole numbers in 0..high-1.

        Args:
            name: Name of the draw.
            high: How many different numbers there are.
            *shape: Shape of what each row gets.

        Returns:
            [B, *shape] int64.
        """
        return (self(name, *shape) * high).to(torch.int64).clamp(max=high - 1)
