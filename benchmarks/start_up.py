"""How long commands take that train nothing, against importing what training needs.

    python benchmarks/start_up.py [--rounds 11] [--json FILE]

Each turn is a new process. The yardstick is `python -c "import torch, timm, transformers"`; `--help` and `plugins`
import none of the three. `plugins` is also timed beside a package of somebody else's, as `vlobj new` writes one. Three
minutes on two cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import paired

YARDSTICK = "import torch, timm, transformers"


def process(*command: str, beside: str = "") -> Callable[[], None]:
    """A turn. `beside`: a folder of installed packages, behind those that are found anyway."""
    path = os.pathsep.join(word for word in (os.environ.get("PYTHONPATH", ""), beside) if word)

    def one() -> None:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} ended with {done.returncode}: {done.stderr[-800:]}")

    return one


def package_of_somebody_else(vlobj: str, folder: str) -> str:
    """Writes a package and installs it into a folder of its own, without a network."""
    package, site = f"{folder}/package", f"{folder}/site"
    process(vlobj, "new", "objective", "my_loss", "--into", package)()
    words = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", site, package]
    process(sys.executable, "-m", "pip", *words)()
    return site


def main() -> None:
    asked = paired.options(__doc__, 11)
    with tempfile.TemporaryDirectory() as folder:
        _timed(asked, folder)


def _timed(asked: argparse.Namespace, folder: str) -> None:
    vlobj = str(Path(sys.executable).with_name("vlobj"))
    site = package_of_somebody_else(vlobj, folder)
    contestants = {
        YARDSTICK: process(sys.executable, "-c", YARDSTICK),
        "vlobj --help": process(vlobj, "--help"),
        "vlobj plugins": process(vlobj, "plugins"),
        "vlobj plugins, with another package": process(vlobj, "plugins", beside=site),
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
