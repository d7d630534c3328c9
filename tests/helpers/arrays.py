"""Golden arrays as tensors, and the two tolerances they are held to."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

GOLDEN = Path(__file__).parents[1] / "golden" / "glscl"


def load(path: Path, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    """The arrays of a file; floating ones as `dtype`. Strings stay numpy arrays."""
    with np.load(path) as file:
        return {name: _tensor(file[name], dtype) for name in file.files}


def golden(name: str, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
    return load(GOLDEN / f"{name}.npz", dtype)


def _tensor(array: np.ndarray, dtype: torch.dtype) -> Tensor:
    if array.dtype.kind == "U":
        return array
    tensor = torch.from_numpy(array)
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def close(actual: Tensor, expected: Tensor) -> None:
    """To 1e-9 in float64, to 1e-5 of the largest expected entry in float32."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    bound = 1e-9 if actual.dtype == torch.float64 else 1e-5 * expected.abs().max().item()
    assert (actual - expected).abs().max().item() <= bound


def leaf(x: Tensor) -> Tensor:
    return x.clone().requires_grad_()
