"""A run is a folder: recipe, manifest, what readers learned, metrics, log, checkpoints, scores."""

import errno
import fcntl
import json
import os
import platform
import re
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from pydantic import BaseModel, ValidationError

from vlobjectives.contracts.evaluation import Score
from vlobjectives.errors import DataError, Place, RecipeError, ResourceError
from vlobjectives.files import exists, json_text, read, read_json, refuse_links, reserved, there, unreadable, write
from vlobjectives.recipe import Loaded

FAILED = "failed.json"
"""What names the evaluations that failed when the run ended; without it all scores are there."""


@dataclass(frozen=True)
class RunFolder:
    """Paths and files of a run; only the first process writes."""

    path: Path

    @classmethod
    def create(cls, path: Path, recipe: str, fill: Callable[[Path], None] = lambda aside: None) -> "RunFolder":
        """Makes the folder with its recipe.yaml in it, and what `fill` puts there, exclusively: two runs never share
        one.

        It is made aside and renamed, so that a folder never lacks its recipe. One that is there is taken where it is a
        run that never took a step: what failed does not block what was corrected. Else raises RecipeError.
        """
        aside = path.with_name(f".making-{secrets.token_hex(6)}")
        try:
            aside.mkdir(parents=True)
            (aside / "recipe.yaml").write_text(recipe, encoding="utf-8")
            fill(aside)
            os.rename(aside, path)  # takes the place of an empty folder, of nothing else
        except OSError as error:
            shutil.rmtree(aside, ignore_errors=True)
            run = cls(path)
            if exists(path / "recipe.yaml") and run.has(".lock") and not run.stepped:
                with run.lock():
                    run.restart(recipe)
                    fill(path)
                return run
            if path.exists():
                on = f"`vlobj run {path}` goes on with that run; " if (path / "recipe.yaml").is_file() else ""
                raise RecipeError.one(f"{path} is already there", f"{on}--out names another folder") from error
            raise ResourceError(f"{path} cannot be made: {error.strerror}", "name another folder with --out") from error
        return cls(path)

    def lock(self) -> IO[str]:
        """Holds the run for this process until the file is closed or the process ends, however it ends.

        Raises RecipeError if another process holds it, or for links out of the folder. A record lock: loader workers do
        not inherit it.
        """
        refuse_links(self.path)
        try:
            file = (self.path / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise unreadable(self.path / ".lock", error, "written") from error
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise unreadable(self.path / ".lock", error, "locked") from error
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise RecipeError.one(
                f"{self.path} is in use by another process ({holder})",
                "wait for it or stop it; --out names another folder for a run beside it",
            ) from error
        file.truncate(0)
        file.write(f"{platform.node()}, process {os.getpid()}")
        file.flush()
        return file

    def restart(self, recipe: str) -> None:
        """Makes the folder of a run that never took a step that of a new one; whatever it made is made anew. The log
        goes on."""
        for name in ("manifest.json", "metrics.jsonl", "summary.json", FAILED):
            (self.path / name).unlink(missing_ok=True)
        for folder in (self.fields, self.checkpoints, self.path / "eval"):
            if folder.exists():
                shutil.rmtree(folder)
        self.write_text("recipe.yaml", recipe)

    @property
    def stepped(self) -> bool:
        """Whether the run took a step, as far as anything tells of it. Raises ResourceError where that cannot be
        told."""
        saved = [path.name for path in there(self.checkpoints) if re.fullmatch(r"(damaged-)?step-[0-9]+", path.name)]
        return any(name != "step-000000" for name in saved) or (
            exists(self.metrics) and self.metrics.stat().st_size > 0
        )

    @property
    def begun(self) -> bool:
        """Whether there is something to go on with: steps, or weights that another run gave."""
        return self.stepped or bool(there(self.checkpoints))

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
        self.write_text(name, json_text(data) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """A text file, replaced as a whole."""
        target = self.path / name
        target.parent.mkdir(exist_ok=True)
        write(target, text)

    def mark(self, name: str, data: Any) -> None:
        """A JSON file that is there as long as it holds something."""
        if data:
            self.write(name, data)
        else:
            (self.path / name).unlink(missing_ok=True)

    def new(self, below: str, name: str, suffix: str) -> Path:
        """A file of its own in a folder of this one, to be written: two processes never get the same."""
        return reserved(self.path / below, name, suffix)

    def has(self, name: str) -> bool:
        return exists(self.path / name)

    def read(self, name: str) -> Any:
        """What a JSON file holds. Raises DataError where it is damaged, ResourceError where it cannot be read."""
        return read_json(
            self.path / name,
            f"put it back from a copy, or take it away: `vlobj run {self.path}` goes on "
            "without it and makes it anew, of things as they are then",
        )

    def manifest(self) -> dict[str, Any]:
        """What manifest.json holds, with what older runs do not say as nothing; the same of a run without one. Raises
        as `read` does."""
        if not self.has("manifest.json"):
            return _Manifest().model_dump()
        held = self.read("manifest.json")
        try:
            return _Manifest.model_validate(held).model_dump()
        except ValidationError as error:
            wrong = error.errors()[0]
            raise DataError(
                f"the file is damaged: {'.'.join(map(str, wrong['loc'])) or 'it'}: {wrong['msg']}",
                f"put it back from a copy, or take it away: `vlobj run {self.path}` makes it anew",
                Place(str(self.path / "manifest.json")),
            ) from error

    def processes(self) -> int:
        """How many processes train the run, or did last."""
        starts = self.manifest()["starts"]
        return starts[-1].get("processes", 1) if starts else 1

    def cut_metrics(self, step: int) -> int:
        """Leaves the lines of steps before `step`: each step stands once, also after a resume. Gives how many before
        the last, which a kill may have cut, could not be read and are gone."""
        if not exists(self.metrics):
            return 0
        lines = read(self.metrics).decode("utf-8", errors="replace").splitlines()
        steps = [step_of(line) for line in lines]
        kept = [line for line, of in zip(lines, steps) if of is not None and of < step]
        if kept != lines:
            write(self.metrics, "".join(line + "\n" for line in kept))
        return steps[:-1].count(None)


class _Plugin(BaseModel, extra="allow"):
    kind: str
    name: str
    package: str
    version: str


class _Manifest(BaseModel, extra="allow"):
    """What is read of a manifest; `manifest` makes it."""

    recipe: dict[str, Any] | None = None
    plugins: list[_Plugin] = []
    plugin_files: dict[str, str] = {}
    data: str | None = None
    fields: dict[str, str] = {}
    git: str | None = None
    started: str | None = None
    starts: list[dict[str, Any]] = []
    changes: list[dict[str, Any]] = []


def step_of(line: str) -> int | None:
    """The step that a line of metrics.jsonl is of; None for one that a kill cut in two, or that is none of ours."""
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None


def run_of(loaded: Loaded, place: Path | None = None) -> Path | None:
    """The run folder that `place` is, or, without one, that a recipe lies in; None where that is none."""
    place = place or loaded.path.parent
    return place if (place / "recipe.yaml").is_file() else None


def has_checkpoint(run: Path | None) -> bool:
    """Whether a run has one, whole or not: it need not begin."""
    return run is not None and any(run.glob("checkpoints/step-*"))


def kept_fields(loaded: Loaded, place: Path | None = None) -> Path | None:
    """Where that run keeps what readers learned; a run that never began makes it anew."""
    run = run_of(loaded, place)
    return RunFolder(run).fields if run and RunFolder(run).begun else None


def scores_as_data(scores: Mapping[str, Score]) -> dict[str, Any]:
    """Scores as summary.json holds them: flat names."""
    return {name: asdict(score) for name, score in scores.items()}
