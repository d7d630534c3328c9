"""What the benchmarks share: contestants timed in turns, ratios with 95 % intervals, small tables, JSON."""

import argparse
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from vlobjectives.files import json_text
from vlobjectives.functional.statistics import mean_interval


def options(doc: str, rounds: int = 0, **more: tuple[Any, str]) -> argparse.Namespace:
    """The command line of a benchmark: `--json`, with `rounds` also `--rounds`, and `more` as name=(default, help)."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there too")
    if rounds:
        more = {"rounds": (rounds, "turns of each contestant that are counted"), **more}
    for name, (default, what) in more.items():
        kind = type(default) if default is not None else str
        parser.add_argument(f"--{name}", type=kind, default=default, help=f"{what} (default: {default})")
    return parser.parse_args()


def turns(contestants: Mapping[str, Callable[[], Any]], rounds: int, warmup: int = 2) -> dict[str, list[float]]:
    """Seconds of each contestant, `rounds` of them after `warmup` that do not count.

    In a round everybody has one turn, so that what else the machine does falls on all of them; odd rounds run
    backwards, so that nobody is always the first.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(-warmup, rounds):
        for name in list(contestants)[:: -1 if turn % 2 else 1]:
            begun = time.perf_counter()
            contestants[name]()
            if turn >= 0:
                taken[name].append(time.perf_counter() - begun)
    return taken


def ratio(these: Sequence[float], those: Sequence[float]) -> tuple[float, float, float]:
    """(median, low, high) of these / those, round by round."""
    return median(a / b for a, b in zip(these, those, strict=True))


def median(values: Any) -> tuple[float, float, float]:
    """The median and its interval between order statistics: 95 % at least, whatever the distribution.

    The ends are infinite below six values, of which no two enclose the median so surely.
    """
    x = sorted(values)
    n = len(x)
    middle = (x[(n - 1) // 2] + x[n // 2]) / 2
    below, tail = -1, 0.0
    while below + 1 < n // 2 and tail + math.comb(n, below + 1) / 2**n <= 0.025:
        below += 1
        tail += math.comb(n, below) / 2**n
    return (middle, x[below], x[n - 1 - below]) if below >= 0 else (middle, 0.0, math.inf)


def rate(counts: int, seconds: Sequence[float]) -> tuple[float, float, float]:
    """(median, low, high) of `counts` things a second."""
    return median(counts / second for second in seconds)


def mean(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high) by Student's t."""
    return mean_interval(values)


def said(value: tuple[float, float, float], digits: int = 3) -> str:
    """`1.234 [1.200, 1.300]`."""
    middle, low, high = (f"{x:,.{digits}f}" for x in value)
    return f"{middle} [{low}, {high}]"


def machine() -> str:
    """What the numbers were taken on."""
    import os
    import platform

    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return (
        f"{device}, {len(os.sched_getaffinity(0))} cores, {torch.get_num_threads()} threads, load "
        f"{os.getloadavg()[0]:.1f}, torch {torch.__version__}, Python {platform.python_version()}"
    )


def show(title: str, rows: Sequence[Mapping[str, Any]], file: str | None = None, **more: Any) -> None:
    """Prints rows as a table under a title and the machine; writes them as JSON where a file is named."""
    heads = list(rows[0])
    lines = [heads, *([str(row.get(head, "")) for head in heads] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    print(f"{title}\n{machine()}")
    for line in lines:
        print(
            "  ".join(
                cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths))
            )
        )
    if file:
        with open(file, "w", encoding="utf-8") as out:
            out.write(json_text({"title": title, "machine": machine(), "rows": list(rows), **more}))
