"""A run is a folder: recipe, manifest, what readers learned, metrics, log, checkpoints, scores."""

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from vlobjectives.contracts.evaluation import Score
from vlobjectives.errors import MeansError, RecipeError
from vlobjectives.registry import Registry


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of a run; only the first process writes."""

    path: Path

    @classmethod
    def create(cls, path: Path, recipe: str) -> "RunFolder":
        """Makes the folder with its recipe.yaml in it, exclusively: two runs never share one.

        It is made aside and renamed, so that a folder never lacks its recipe. Raises RecipeError if it is there.
        """
        aside = path.with_name(f".making-{path.name}-{os.getpid()}")
        try:
            aside.mkdir(parents=True)
            (aside / "recipe.yaml").write_text(recipe, encoding="utf-8")
            os.rename(aside, path)  # takes the place of an empty folder, of nothing else
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            if path.exists():
                on = f"`vlobj run {path}` goes on with that run; " if (path / "recipe.yaml").is_file() else ""
                raise RecipeError.one(f"{path} is already there", f"{on}--out names another folder") from error
            raise MeansError(f"{path} cannot be made: {error.strerror}", "name another folder with --out") from error
        return cls(path)

    def lock(self) -> IO[str]:
        """Holds the run for this process until the file is closed or the process ends, however it ends.

        Raises RecipeError if another process holds it. A record lock: loader workers do not inherit it.
        """
        file = (self.path / ".lock").open("a+", encoding="utf-8")
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise RecipeError.one(f"{self.path} is in use by another process ({holder})",
                                  "wait for it or stop it; --out names another folder for a run beside it") from error
        file.truncate(0)
        file.write(f"{platform.node()}, process {os.getpid()}")
        file.flush()
        return file

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
        self.write_text(name, json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """A text file, replaced as a whole."""
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        aside.write_text(text, encoding="utf-8")
        aside.replace(target)

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str) -> Any:
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def cut_metrics(self, step: int) -> None:
        """Leaves the lines of steps before `step`: each step stands once, also after a resume."""
        if not self.metrics.exists():
            return
        kept = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] < step:
                    kept.append(line)
            except (ValueError, KeyError):  # the line that a kill cut in two
                continue
        aside = self.metrics.with_suffix(".cut")
        aside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        aside.replace(self.metrics)


def scores_as_data(scores: Mapping[str, Score]) -> dict[str, Any]:
    """Scores as summary.json holds them: flat names."""
    return {name: asdict(score) for name, score in scores.items()}


def manifest(plugins: list[dict[str, str]], data: str, fields: Mapping[str, str],
             files: Mapping[str, str]) -> dict[str, Any]:
    """What made a run: versions, plug-ins with their distributions and local files, git, hashes of data and fields.

    `starts` and `changes` grow with every time that the run is taken up again.
    """
    return {"versions": {name: version(name) for name in ("vlobjectives", "torch", "timm", "transformers")},
            "python": platform.python_version(), "plugins": plugins, "plugin_files": dict(files), "data": data,
            "fields": dict(fields), "git": _git(), "started": now(), "starts": [], "changes": []}


def learned(fields: Path) -> dict[str, str]:
    """Field -> sha256 of what its reader learned."""
    return {Path(path).stem: digest for path, digest in hashes(sorted(fields.glob("*.json"))).items()}


def now() -> str:
    """The time, with its zone, as manifests write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """Path -> sha256 of the file."""
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _git() -> str | None:
    """The commit of the package's checkout, if it is one, with a mark for uncommitted changes.

    An installed package may lie in somebody else's checkout (`.venv` in a project's folder), which does not track it.
    """
    here = Path(__file__).resolve()

    def asked(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=here.parent, capture_output=True, encoding="utf-8", errors="replace",
                              timeout=5, check=True).stdout.strip()
    try:
        asked("ls-files", "--error-unmatch", here.name)
        return asked("describe", "--always", "--dirty")
    except (OSError, subprocess.SubprocessError):
        return None


def used_plugins(recipe: Any, registry: Registry) -> list[dict[str, str]]:
    """The plug-ins that a recipe names, with the distributions that brought them."""
    named = {("source", entry.type) for entry in recipe.sources.values()}
    for kind, entries in (("reader", recipe.fields), ("part", recipe.model), ("mask", recipe.masks),
                          ("pairing", recipe.pairings), ("objective", recipe.objectives),
                          ("evaluation", recipe.evaluate.entries)):
        named |= {(kind, entry.type) for entry in entries.values()}
    found = [registry.component(kind, name) for kind, name in sorted(named)]
    return [{"kind": one.kind, "name": one.full, "package": one.package, "version": one.version} for one in found]
