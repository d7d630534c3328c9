"""Names that a form leaves open, settled by what lies below the roots."""

from collections.abc import Iterable, Sequence
from itertools import islice

from vlobj_data.forms.asked import Asked

LOOKED_AT = 100
ENDINGS = (".mp4", ".avi", ".webm", ".mkv", ".mov", ".gif", "")


def settled(ways: Iterable[Sequence[str]], asked: Asked) -> int:
    """Which of several ways to name files is a data set's own: that which finds most of the first, in doubt the first.

    ways  of each file its names, one a way
    """
    found: list[int] = []
    for names in islice(ways, LOOKED_AT):
        found = found or [0] * len(names)
        for way, name in enumerate(names):
            found[way] += asked.there(name)
    return found.index(max(found)) if found else 0


def ending(names: Iterable[str], asked: Asked) -> str:
    """What follows names that are given without an ending: `asked.extension`, or another with which they are there."""
    ways = (asked.extension, *(one for one in ENDINGS if one != asked.extension))
    return ways[settled(([f"{name}{one}" for one in ways] for name in names), asked)]
