"""Checkpoints: written aside, synced, hashed, renamed; a crash or a full disk leaves what was there."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from vlobjectives.errors import DataError, MeansError

MODEL, STATE, MANIFEST = "model.safetensors", "state.pt", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose hashes hold."""

    folder: Path
    step: int


def weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name; one that is shared stands once, under its first name."""
    seen: dict[int, str] = {}
    found = {}
    for name, value in module.state_dict(keep_vars=True).items():
        if id(value) not in seen:
            seen[id(value)] = name
            found[name] = value.detach()
    return found


def save(folder: Path, step: int, module: nn.Module, state: Mapping[str, Any], keep: int) -> Checkpoint:
    """Writes `folder/step-NNNNNN` and removes all but the newest `keep`.

    The folder appears under its name only when all of it is on disk. Raises MeansError when the disk is full; what
    was there stays.
    """
    target = folder / f"step-{step:06d}"
    aside = folder / f".writing-{step:06d}-{os.getpid()}"
    folder.mkdir(parents=True, exist_ok=True)
    _clear(folder)
    try:
        aside.mkdir()
        save_file({name: value.cpu().contiguous() for name, value in weights(module).items()}, aside / MODEL)
        torch.save(dict(state), aside / STATE)
        hashes = {name: _hash(aside / name) for name in (MODEL, STATE)}
        (aside / MANIFEST).write_text(json.dumps({"step": step, "sha256": hashes}, indent=1))
        for path in (*aside.iterdir(), aside):
            _sync(path)
        if target.exists():
            shutil.rmtree(target)
        os.rename(aside, target)
        _sync(folder)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, OSError) or "write" in str(error) or "space" in str(error):
            raise MeansError(f"the checkpoint of step {step} could not be written: {error}",
                             f"free disk space under {folder}; go on with the run folder: earlier checkpoints are intact"
                             ) from error
        raise
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old)
    return Checkpoint(target, step)


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint whose hashes hold, and a line for each newer one that does not."""
    broken = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        reason = _fault(path)
        if reason is None:
            return Checkpoint(path, json.loads((path / MANIFEST).read_text())["step"]), broken
        broken.append(f"checkpoint {path.name} is damaged ({reason}); the one before is taken")
    return None, broken


def load_weights(module: nn.Module, checkpoint: Path) -> None:
    """Puts the weights of a checkpoint into a module of the same make."""
    found = load_file(checkpoint / MODEL)
    own = weights(module)
    if found.keys() != own.keys():
        missing, extra = sorted(own.keys() - found.keys()), sorted(found.keys() - own.keys())
        raise DataError(f"{checkpoint} does not fit this system: missing {missing[:3]}, left over {extra[:3]}",
                        "build the system from the recipe.yaml of the same run folder")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(found[name])


def load_state(checkpoint: Path) -> dict[str, Any]:
    """What the optimiser and the loop had at the checkpoint. Nothing is unpickled but tensors and plain data."""
    return torch.load(checkpoint / STATE, map_location="cpu", weights_only=True)


def _fault(path: Path) -> str | None:
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        return next((f"{name} differs from its hash" for name, digest in manifest["sha256"].items()
                     if _hash(path / name) != digest), None)
    except (OSError, ValueError, KeyError) as error:
        return str(error)


def _clear(folder: Path) -> None:
    """Removes what a killed process left half written."""
    for path in folder.glob(".writing-*"):
        shutil.rmtree(path, ignore_errors=True)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
