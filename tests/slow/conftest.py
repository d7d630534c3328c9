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
def trained(tmp_path_factory) -> Callable[..., Summary]:
    """`trained(recipe, folder)`: summary.json of a run; with a folder of one that is there, else of one trained now."""
    def summary(recipe: str, folder: str | None = None, overrides: Sequence[str] = ()) -> Summary:
        place = Path(folder) if folder else tmp_path_factory.mktemp(recipe) / "run"
        if not folder:
            environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
            subprocess.run([sys.executable, "-m", "vlobjectives", "run", recipe, *overrides, "--out", place],
                           check=True,
                           env=environment, cwd=place.parent)
        return json.loads((place / "summary.json").read_text())
    return summary
