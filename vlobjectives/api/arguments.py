"""Arguments of the Python API: what a user can correct is said as a VlobjError."""

from typing import Any

import torch

from vlobjectives.errors import RecipeError


def whole(name: str, number: Any, least: int) -> int:
    """A whole number of `least` or more. Raises RecipeError for anything else."""
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise RecipeError.one(f"{name} is a whole number of {least} or more, not {number!r}", f"give {name}={least}")
    return number


def device(given: Any) -> torch.device:
    """A device as torch names it. Raises RecipeError for what is none."""
    try:
        return torch.device(given)
    except (RuntimeError, TypeError, ValueError) as error:
        raise RecipeError.one(f"device={given!r} is none that torch knows", "give 'cpu' or 'cuda:0'") from error
