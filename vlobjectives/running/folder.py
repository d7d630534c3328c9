"""A run is a folder: recipe, manifest, what readers learned, metrics, log, checkpoints, scores."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vlobjectives.contracts.evaluation import Score
from vlobjectives.errors import MeansError, RecipeError


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of a run; only the first process writes."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> "RunFolder":
        """Makes the folder, exclusively: two runs never share one."""
        try:
            path.mkdir(parents=True, exist_ok=False)
        except FileExistsError as error:
            raise RecipeError.one(f"{path} is already there",
                                  f"`vlobj run {path}` goes on with that run; --out names another folder") from error
        except OSError as error:
            raise MeansError(f"{path} cannot be made: {error.strerror}", "name another folder with --out") from error
        return cls(path)

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def fields(self) -> Path:
        return self.path / "fields"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    def write(self, name: str, data: Any) -> None:
        """A JSON file, replaced as a whole."""
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        aside.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
        aside.replace(target)

    def read(self, name: str) -> Any:
        return json.loads((self.path / name).read_text())

    def cut_metrics(self, step: int) -> None:
        """Leaves the lines of steps before `step`: each step stands once, also after a resume."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text().splitlines():
            try:
                if json.loads(line)["step"] < step:
                    kept.append(line)
            except (ValueError, KeyError):  # the line that a kill cut in two
                continue
        aside = self.metrics.with_suffix(".cut")
        aside.write_text("".join(line + "\n" for line in kept))
        aside.replace(self.metrics)


def scores_as_data(scores: Mapping[str, Score]) -> dict[str, Any]:
    """Scores as summary.json holds them: flat names."""
    return {name: asdict(score) for name, score in scores.items()}


def manifest(plugins: list[dict[str, str]], data: str, device: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """What made a run: versions, plug-ins with their distributions, git, data hash, device."""
    return {"versions": {name: version(name) for name in ("vlobjectives", "torch", "timm", "transformers")},
            "python": platform.python_version(), "plugins": plugins, "data": data, "fields": dict(fields),
            "device": device, "git": _git(), "started": time.strftime("%Y-%m-%dT%H:%M:%S%z")}


def _git() -> str | None:
    """The commit of the package's checkout, if it is one, with a mark for uncommitted changes."""
    here = Path(__file__).resolve().parent
    try:
        answer = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True,
                                timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
