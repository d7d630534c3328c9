"""Whether two values are the same, whatever they are made of, and where they first differ."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from torch import Tensor


def difference(one: Any, other: Any, place: str = "") -> str:
    """Where two values first differ, in words; empty where they are the same to the bit."""
    here = place or "the value"
    alike = (_number(one) and _number(other)) or (isinstance(one, Mapping) and isinstance(other, Mapping))
    if type(one) is not type(other) and not alike:
        return f"{here} is a {type(one).__name__} and a {type(other).__name__}"
    if isinstance(one, Tensor):
        one, other = one.detach().cpu().numpy(), other.detach().cpu().numpy()
    if isinstance(one, np.ndarray):
        return _arrays(one, other, here)
    if isinstance(one, Mapping):
        if one.keys() != other.keys():
            return f"{here} has {sorted(map(str, one))} and {sorted(map(str, other))}"
        return next(filter(None, (difference(one[key], other[key], _below(place, key)) for key in one)), "")
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return f"{here} has {len(one)} and {len(other)} entries"
        pairs = enumerate(zip(one, other))
        return next(filter(None, (difference(a, b, _below(place, number)) for number, (a, b) in pairs)), "")
    if is_dataclass(one) and not isinstance(one, type):
        names = [each.name for each in fields(one)]
        return next(filter(None, (difference(getattr(one, n), getattr(other, n), _below(place, n)) for n in names)), "")
    if _number(one) and one != one and other != other:
        return ""
    try:
        equal = bool(one == other) or repr(one) == repr(other)
    except (TypeError, ValueError):
        equal = repr(one) == repr(other)
    return "" if equal else f"{here} is {_short(one)} and {_short(other)}"


def _arrays(one: np.ndarray, other: np.ndarray, here: str) -> str:
    if one.shape != other.shape or one.dtype != other.dtype:
        return f"{here} is {one.dtype}{list(one.shape)} and {other.dtype}{list(other.shape)}"
    floats = np.issubdtype(one.dtype, np.floating)
    if np.array_equal(one, other, equal_nan=floats):
        return ""
    return f"{here} differs in {int((one != other).sum())} of {one.size} numbers"


def _below(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)


def _number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
