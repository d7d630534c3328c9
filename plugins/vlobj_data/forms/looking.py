"""Names that a form leaves open, settled by what lies below the roots."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TypeVar

from vlobj_data.forms.asked import Asked

T = TypeVar("T")
LOOKED_AT = 100
ENDINGS = (".mp4", ".avi", ".webm", ".mkv", ".mov", ".gif", "")


_LEFT_OPEN = re.compile(rb'"filepath"|"(image|url|video)"\s*:\s*"https?://')
"""In JSON that leaves names open."""
FOLDERS = 10_000


def surroundings(path: Path, asked: Asked) -> list[tuple[str, int]]:
    """What changes when files come or go where a manifest leaves names open: times of the roots and of their folders.

    What is kept of such a manifest is bound to it. Empty for one that leaves nothing open.
    """
    try:
        with path.open("rb") as file:
            head = file.read(2**16)
        json = head.lstrip()[:1] in (b"[", b"{")
        if not (_LEFT_OPEN.search(head) if json else b"://" in head):
            return []
        folders = (entry for root in asked.roots for entry in islice(os.scandir(root), FOLDERS) if entry.is_dir())
        times = [(root, os.stat(root).st_mtime_ns) for root in asked.roots]
        return times + sorted((entry.path, entry.stat().st_mtime_ns) for entry in folders)
    except OSError:
        return []  # who reads them says why


def first_of(rows: Iterable[T]) -> tuple[list[T], Iterator[T]]:
    """The first rows, to be looked at, and all of them."""
    rest = iter(rows)
    first = list(islice(rest, LOOKED_AT))
    return first, chain(first, rest)


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
