"""What a run's manifest says: recipe, data, plug-ins, what readers learned, revision."""

import hashlib
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from vlobjectives.files import read
from vlobjectives.recipe import Recipe, dump
from vlobjectives.recipe.yaml import parse
from vlobjectives.registry import Registry


def manifest(
    recipe: Recipe, plugins: list[dict[str, str]], data: str, fields: Mapping[str, str], files: Mapping[str, str]
) -> dict[str, Any]:
    """What made a run: its recipe, versions, plug-ins with their distributions and local files, git, hashes of data
    and fields. The recipe stands here too so that recipe.yaml can be held against it.

    `starts` and `changes` grow with every time that the run is taken up again.
    """
    return {
        "recipe": parse(dump(recipe), "recipe").data,
        "versions": {name: version(name) for name in ("vlobjectives", "torch", "timm", "transformers")},
        "python": platform.python_version(),
        "plugins": plugins,
        "plugin_files": dict(files),
        "data": data,
        "fields": dict(fields),
        "git": _git(),
        "started": now(),
        "starts": [],
        "changes": [],
    }


def learned(fields: Path) -> dict[str, str]:
    """Field -> sha256 of what its reader learned."""
    return {Path(path).stem: digest for path, digest in hashes(sorted(fields.glob("*.json"))).items()}


def now() -> str:
    """The time, with its zone, as manifests write it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """Path -> sha256 of the file."""
    return {str(path): hashlib.sha256(read(path)).hexdigest() for path in paths}


def _git() -> str | None:
    """The commit of the package's checkout, if it is one, with a mark for uncommitted changes.

    An installed package may lie in somebody else's checkout (`.venv` in a project's folder), which does not track it.
    """
    here = Path(__file__).resolve()

    def asked(*words: str) -> str:
        return subprocess.run(
            ["git", *words],
            cwd=here.parent,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=5,
            check=True,
        ).stdout.strip()

    try:
        asked("ls-files", "--error-unmatch", here.name)
        return asked("describe", "--always", "--dirty")
    except (OSError, subprocess.SubprocessError):
        return None


def used_plugins(recipe: Recipe, registry: Registry) -> list[dict[str, str]]:
    """The plug-ins that a recipe names, with the distributions that brought them."""
    named = {("source", entry.type) for entry in recipe.sources.values()}
    for kind, entries in (
        ("reader", recipe.fields),
        ("part", recipe.model),
        ("mask", recipe.masks),
        ("pairing", recipe.pairings),
        ("objective", recipe.objectives),
        ("evaluation", recipe.evaluate.entries),
        ("tracker", recipe.trackers),
        ("balancer", {"": recipe.balance} if recipe.balance else {}),
    ):
        named |= {(kind, entry.type) for entry in entries.values()}
    found = [registry.component(kind, name) for kind, name in sorted(named)]
    return [{"kind": one.kind, "name": one.full, "package": one.package, "version": one.version} for one in found]
