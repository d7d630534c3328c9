"""YAML 1.2's core rules for plain scalars, and nothing of YAML 1.1.

PyYAML follows YAML 1.1, where `1e-4` is a string, `off` and `no` are booleans, `1:30` is 90 and `1_000` is 1000.
Here `1e-4` is a number and the others are words, in files and on the command line alike.
"""

import re
from math import isinf

_RULES = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?",
    "non-finite": r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
}
_PATTERNS = {kind: re.compile(rule) for kind, rule in _RULES.items()}
LARGEST = 2**63 - 1


def kind_of(text: str) -> str:
    """What a plain scalar is: null, bool, int, float, non-finite or str."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(text)), "str")


def value_of(text: str) -> bool | int | float | str | None:
    """The value of a plain scalar. Raises ValueError for a number that no recipe can use."""
    kind = kind_of(text)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if len(text) <= 32 else LARGEST + 1
        if abs(number) > LARGEST:
            raise ValueError("a whole number must fit 64 bits")
        return number
    if kind == "non-finite" or (kind == "float" and isinf(float(text))):
        raise ValueError("numbers must be finite")
    return float(text) if kind == "float" else text
