"""Runs of whole recipes, trained as a user trains them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

Summary = Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="session")
def placed(tmp_path_factory) -> Callable[..., Path]:
    """`placed(recipe, folder)`: the folder of a run; that one if it is given, else of one trained now."""

    def place_of(recipe: str, folder: str | None = None, overrides: Sequence[str] = ()) -> Path:
        if folder:
            return Path(folder).resolve()
        place = tmp_path_factory.mktemp(Path(recipe).stem) / "run"
        environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
        subprocess.run(
            [sys.executable, "-m", "vlobjectives", "run", recipe, *overrides, "--out", place],
            check=True,
            env=environment,
            cwd=place.parent,
        )
        return place

    return place_of


@pytest.fixture(scope="session")
def trained(placed) -> Callable[..., Summary]:
    """`trained(recipe, folder)`: summary.json of such a run."""

    def summary(recipe: str, folder: str | None = None, overrides: Sequence[str] = ()) -> Summary:
        return json.loads((placed(recipe, folder, overrides) / "summary.json").read_text(encoding="utf-8"))

    return summary
