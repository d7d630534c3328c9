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

    seed, stream, when   what the numbers hang on besides the sample; `when` is the step in training and the split's
                         name in evaluation
    number               [B] int64
    """

    seed: int
    stream: str
    when: int | str
    number: Tensor

    def _key(self, name: str) -> int:
        return arithmetic.prng_key(self.seed, self.stream, self.when, name)

    def __call__(self, name: str, *shape: int) -> Tensor:
        """Uniforms in [0,1), float32 [B, *shape]."""
        return arithmetic.random_uniform(self._key(name), self.number, *shape)

    def between(self, name: str, others: Tensor | None = None) -> Tensor:
        """Uniforms [B,N] that hang on the numbers of both samples and not on their places: order of rows is nothing.

        others  [N] int64, numbers of the samples that stand against these; None: these themselves
        """
        both = (self.number[:, None] << 32) | (self.number if others is None else others)
        return replace(self, number=both.flatten())(name).reshape(both.shape)

    def order(self, name: str, n: int) -> Tensor:
        """Permutations of 0..n-1, int64 [B,n]."""
        return arithmetic.permutation(self._key(name), self.number, n)

    def integers(self, name: str, high: int, *shape: int) -> Tensor:
        """Whole numbers in 0..high-1, int64 [B, *shape]."""
        return (self(name, *shape) * high).to(torch.int64).clamp(max=high - 1)
