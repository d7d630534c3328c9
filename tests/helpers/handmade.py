"""Golden arrays, and the values of views and batches made of them by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vlobjectives import Batch, Encoded, MaskSample, Noise, Term, Tokens
from vlobjectives.functional import mask_to_indices

GOLDEN = Path(__file__).parents[1] / "golden" / "glscl"
BEGIN, PAD, END, MASK, VOCABULARY = 0, 1, 2, 12, 13
SPECIAL = {"begin": BEGIN, "pad": PAD, "end": END, "mask": MASK, "unknown": 3}


def golden(name: str, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file.files}
    return {key: x.to(dtype) if x.is_floating_point() else x for key, x in arrays.items()}


def close(actual: Tensor, expected: Tensor) -> None:
    """To 1e-9 in float64, to 1e-5 of the largest expected entry in float32."""
    assert actual.shape == expected.shape
    bound = 1e-9 if actual.dtype == torch.float64 else 1e-5 * expected.abs().max().item()
    assert (actual.detach() - expected).abs().max().item() <= bound


def leaf(x: Tensor) -> Tensor:
    return x.clone().requires_grad_()


def itself(x: Tensor) -> Tensor:
    """`gather` of one process."""
    return x


def value(term: Term) -> Tensor:
    """What the host makes of a term: sum over count, 0 where nothing was scored."""
    return term.total / torch.as_tensor(term.count).clamp_min(1)


def total(terms: Mapping[str, Term]) -> Tensor:
    return sum(value(term) * term.weight for term in terms.values() if term.weight)


def encoded(tokens: Tensor | None = None, cls: Tensor | None = None, draw: MaskSample | None = None) -> Encoded:
    if tokens is None:
        tokens = cls[:, :0]
    return Encoded(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool), cls=cls, draw=draw)


def drawn(mask: Tensor, surplus: int = 0) -> MaskSample:
    """A Draw that hides and scores mask [B,N] bool, with `surplus` positions more than the fullest row needs."""
    index, ok = mask_to_indices(mask, int(mask.sum(1).max()) + surplus)
    return MaskSample(mask, mask, index, ok)


def texts(words: list[int], length: int, seed: int = 0) -> Tokens:
    """Texts of so many words between begin and end, padded to `length`; the words are not special ids."""
    place, count = torch.arange(length), torch.tensor(words)[:, None]
    ids = torch.randint(4, MASK, (len(words), length), generator=torch.Generator().manual_seed(seed))
    ids = torch.where(place == 0, BEGIN, ids)
    ids = torch.where(place == count + 1, END, torch.where(place > count + 1, PAD, ids))
    valid = place <= count + 1
    return Tokens(ids, valid, (place == 0) | (place > count), torch.zeros_like(ids))


def batch(size: int, same: list[int] | None = None, **values) -> Batch:
    number = torch.arange(size)
    return Batch(number, number if same is None else torch.tensor(same), values)


@dataclass(frozen=True, eq=False)
class Given(Noise):
    """Noise whose numbers are given by name; what is not given is drawn."""

    orders: Mapping[str, Tensor] = field(default_factory=dict)
    numbers: Mapping[str, Tensor] = field(default_factory=dict)

    def __call__(self, name: str, *shape: int) -> Tensor:
        given = self.numbers.get(name)
        return super().__call__(name, *shape) if given is None else given.reshape(-1, *shape)

    def order(self, name: str, n: int) -> Tensor:
        given = self.orders.get(name)
        if given is None:
            return super().order(name, n)
        assert given.shape[1] == n
        return given


def noise(size: int, seed: int = 0, when: int = 0, first: int = 0, **given) -> Given:
    return Given(seed, "stream", when, torch.arange(first, first + size), **given)
