"""How long commands take that train nothing, against importing what training needs.

    python benchmarks/start_up.py [--rounds 11] [--json FILE]

Each turn is a new process. The yardstick is `python -c "import torch, timm, transformers"`; `--help` and `plugins`
import none of the three. Three minutes on two cores.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import paired

YARDSTICK = "import torch, timm, transformers"


def process(*command: str) -> Callable[[], None]:
    def one() -> None:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8")
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-800:]}")

    return one


def main() -> None:
    asked = paired.options(__doc__, 11)
    vlobj = str(Path(sys.executable).with_name("vlobj"))
    contestants = {
        YARDSTICK: process(sys.executable, "-c", YARDSTICK),
        "vlobj --help": process(vlobj, "--help"),
        "vlobj plugins": process(vlobj, "plugins"),
        "vlobj check glscl": process(vlobj, "check", "glscl"),
    }
    taken = paired.turns(contestants, asked.rounds, warmup=1)
    rows = [
        {
            "command": name,
            "seconds": paired.said(paired.median(seconds), 2),
            "of the yardstick": paired.said(paired.ratio(seconds, taken[YARDSTICK]), 2),
        }
        for name, seconds in taken.items()
    ]
    paired.show(f"Start-up; {asked.rounds} rounds, median [95 %]", rows, asked.json, seconds=taken)


if __name__ == "__main__":
    main()
