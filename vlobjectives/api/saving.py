"""A run folder of a system that a loop of one's own has trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlobjectives import run_manifest
from vlobjectives.data.data_module import DataModule
from vlobjectives.errors import RecipeError
from vlobjectives.recipe import Loaded, Recipe, dump
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.run_folder import RunFolder
from vlobjectives.runs import plugin_copies, resume
from vlobjectives.runtime import distributed
from vlobjectives.runtime.resources import KINDS
from vlobjectives.system import checkpoint
from vlobjectives.system.system import System


@dataclass(frozen=True)
class Provenance:
    """What made a system, as plain data: what a run folder says of it.

    Attributes:
        loaded: Its recipe.
        plugins: The plug-ins that it names, with their distributions.
        files: Name -> copy of its plug-in files and of their helpers.
        digest: The digest of its data, where that is not open.
    """

    loaded: Loaded
    plugins: list[dict[str, str]]
    files: Mapping[str, bytes]
    digest: str | None = None

    @classmethod
    def of(cls, resolved: Resolved, digest: str | None = None) -> "Provenance":
        """Return what made a resolved recipe's system.

        Args:
            resolved: The recipe with its plug-ins.
            digest: The digest of its data, where that is not open.
        """
        recipe, registry = resolved.recipe, resolved.registry
        plugins = run_manifest.used_plugins(recipe, registry)
        return cls(resolved.loaded, plugins, plugin_copies.copies(recipe, registry), digest)


@dataclass(frozen=True)
class Saving:
    """A system to be saved, with its data and what made it.

    Attributes:
        system: The system.
        data_module: Its data, with readers fitted.
        made_of: Its recipe and plug-ins.
    """

    system: System
    data_module: DataModule
    made_of: Provenance

    def to(self, path: Path, steps: int, state: Mapping[str, Any]) -> Path:
        """Write the run folder, or a checkpoint more into it; the first process writes.

        Args:
            path: The run folder.
            steps: How many steps the system was trained.
            state: The state of its optimiser and scaler.

        Returns:
            The checkpoint's folder.

        Raises:
            RecipeError: Something else lies in the folder.
            ResourceError: It cannot be written.
        """
        world, folder = distributed.joined(), RunFolder(path)
        recipe = resume.settled(self.made_of.loaded, world.size).recipe

        def write() -> None:
            self._make(folder, recipe)
            with folder.lock():
                self._note(folder, recipe, steps, world.size)
                kept = {"step": steps, **state, "bad": []}
                checkpoint.save(folder.checkpoints, steps, self.system, kept, recipe.run.checkpoint.keep)

        distributed.first_does(world, write)
        return folder.checkpoints / f"step-{steps:06d}"

    def _make(self, folder: RunFolder, recipe: Recipe) -> None:
        """The folder with its recipe, plug-in files and what readers learned."""
        text = dump(plugin_copies.naming_copies(recipe))
        if folder.recipe.is_file() and folder.recipe.read_text(encoding="utf-8") == text:
            return
        if folder.path.exists() and (not folder.path.is_dir() or any(folder.path.iterdir())):
            what = "holds a run of another recipe" if folder.recipe.is_file() else "is there, and not empty"
            raise RecipeError.one(f"{folder.path} {what}", "name a folder that is new or empty")

        def fill(aside: Path) -> None:
            plugin_copies.write(aside, self.made_of.files)
            self.data_module.fields.save(RunFolder(aside).fields)

        RunFolder.create(folder.path, text, fill)

    def _note(self, folder: RunFolder, recipe: Recipe, steps: int, processes: int) -> None:
        """The manifest, which says that a loop of one's own trained so many steps; each save is one of its starts."""
        manifest = folder.manifest() if folder.has("manifest.json") else self._manifest(folder, recipe)
        autocast = self.system.autocast
        saved = {
            "time": run_manifest.now(),
            "after_step": steps,
            "saved_by": "system.save",
            "device": str(next(self.system.parameters()).device),
            "precision": next((name for name, kind in KINDS.items() if autocast and kind == autocast[1]), "fp32"),
            "processes": processes,
        }
        folder.write("manifest.json", {**manifest, "starts": [*manifest["starts"], saved]})

    def _manifest(self, folder: RunFolder, recipe: Recipe) -> dict[str, Any]:
        made = self.made_of
        data, fields = made.digest or self.data_module.digest(), run_manifest.learned(folder.fields)
        return run_manifest.manifest(recipe, made.plugins, data, fields, plugin_copies.digested(made.files))
