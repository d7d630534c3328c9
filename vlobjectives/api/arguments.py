"""Arguments of the Python API: what a user can correct is said as a VlobjError."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from vlobjectives.errors import RecipeError
from vlobjectives.plugin_loading.attribution import blamed
from vlobjectives.runtime.resources import out_of_memory


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


@contextmanager
def blaming() -> Iterator[None]:
    """Inside, what a plug-in does wrong is raised as the VlobjError that names it; what failed is its cause."""
    try:
        yield
    except Exception as error:
        told = None if out_of_memory(error) else blamed(error)
        if told is None or told is error:
            raise
        raise told from error
