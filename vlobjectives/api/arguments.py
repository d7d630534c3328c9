"""Arguments of the Python API: what a user can correct is said as a VlobjError."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from vlobjectives.errors import RecipeError
from vlobjectives.plugin_loading.attribution import blamed
from vlobjectives.runtime.resources import out_of_memory


def whole(name: str, number: Any, least: int) -> int:
    """Return an argument that is a whole number.

    Args:
        name: The argument's name.
        number: Its value.
        least: The least that it may be.

    Returns:
        The value.

    Raises:
        RecipeError: It is no whole number, or under `least`.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < least:
        raise RecipeError.one(f"{name} is a whole number of {least} or more, not {number!r}", f"give {name}={least}")
    return number


def device(given: Any) -> torch.device:
    """Return a device as torch names it.

    Args:
        given: The argument's value.

    Returns:
        The device.

    Raises:
        RecipeError: It is none that torch knows.
    """
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
