"""Small inputs of every kind, and the golden numbers."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vlobjectives import FieldSpec, MaskSample, RequestedOutputs, Tokens

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "glscl"
SPECIAL = {"begin": 0, "pad": 1, "end": 2, "mask": 3, "unknown": 4}
PLAIN, ALL = RequestedOutputs(), RequestedOutputs(layers=frozenset({0}), maps=True, tokens=True)


def golden(name: str, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """A golden file's arrays, floats as `dtype`."""
    arrays = np.load(GOLDEN / f"{name}.npz")
    tensors = {key: torch.from_numpy(np.asarray(arrays[key])) for key in arrays}
    return {key: x.to(dtype) if x.is_floating_point() else x for key, x in tensors.items()}


def agrees(found: Tensor, expected: Tensor) -> None:
    """Float64 to 1e-9 and float32 to 1e-5 of the array's largest entry."""
    assert found.shape == expected.shape
    bound = 1e-9 if expected.dtype == torch.float64 else 1e-5
    assert (found - expected).abs().max() <= bound * expected.abs().max()


def pictures(size: int = 16, frames: int = 0) -> dict[str, FieldSpec]:
    return {"image": FieldSpec("picture", (*([frames] if frames else []), 3, size, size))}


def words(length: int = 10, vocabulary: int = 40, **more: int) -> dict[str, FieldSpec]:
    """A field of captions, and further fields of the given lengths in the same table."""
    return {
        name: FieldSpec("tokens", (count,), vocabulary, special=SPECIAL)
        for name, count in {"caption": length, **more}.items()
    }


def captions(lengths: tuple[int, ...] = (10, 7, 3), length: int = 10, vocabulary: int = 40, seed: int = 0) -> Tokens:
    """Random captions of these lengths, begin and end included, padded to `length`."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, vocabulary, (len(lengths), length), generator=generator)
    place, last = torch.arange(length), torch.tensor(lengths)[:, None] - 1
    ids = torch.where(place > last, SPECIAL["pad"], torch.where(place == last, SPECIAL["end"], ids))
    ids[:, 0] = SPECIAL["begin"]
    valid = place <= last
    return Tokens(ids, valid, ~valid | (place == 0) | (place == last), torch.zeros_like(ids))


def kept(keep: Tensor, n: int) -> MaskSample:
    """A draw that drops all of n positions but `keep` [B,k]."""
    hidden = torch.ones(keep.shape[0], n, dtype=torch.bool).scatter(1, keep, False)
    return MaskSample(hidden, hidden, keep, torch.ones_like(keep, dtype=torch.bool), keep, fill="drop")


def replaced(index: Tensor, n: int) -> MaskSample:
    """A draw that puts the mask token in place of positions `index` [B,K] of n."""
    hidden = torch.zeros(index.shape[0], n, dtype=torch.bool).scatter(1, index, True)
    return MaskSample(hidden, hidden, index, torch.ones_like(index, dtype=torch.bool), fill="token")
