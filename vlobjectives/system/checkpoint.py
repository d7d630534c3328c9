"""Checkpoints: written aside, synced, hashed, renamed; a crash or a full disk leaves what was there.

Only a file that is gone or differs from its hash is damage. One that cannot be read stops the command.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from vlobjectives.errors import DataError, Place, ResourceError
from vlobjectives.files import GONE, json_text, read, there, unreadable

MODEL, STATE, MANIFEST = "model.safetensors", "state.pt", "manifest.json"
OTHERS = "put the file back from a copy, or take this checkpoint's folder away: the one before it is taken then"


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
    """Writes `folder/step-NNNNNN` and removes all but the newest `keep` of those up to it.

    The folder appears under its name only when all of it is on disk. Raises ResourceError when the disk is full; what
    was there stays.
    """
    target = folder / f"step-{step:06d}"
    aside = folder / f".writing-{step:06d}-{os.getpid()}"
    tensors = {name: value.cpu().contiguous() for name, value in weights(module).items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _clear(folder)
        aside.mkdir()
        save_file(tensors, aside / MODEL, {"step": str(step)})
        torch.save(dict(state), aside / STATE)
        hashes = {name: _hash(aside / name) for name in (MODEL, STATE)}
        (aside / MANIFEST).write_text(json_text({"step": step, "sha256": hashes}), encoding="utf-8")
        with suppress(OSError):  # safetensors lets nobody else read its files; some file systems know no modes
            (aside / MODEL).chmod((aside / MANIFEST).stat().st_mode)
        for path in (*aside.iterdir(), aside):
            _sync(path)
        if target.exists():
            shutil.rmtree(target)
        os.rename(aside, target)
        _sync(folder)
    except (OSError, RuntimeError, SafetensorError) as error:  # each writer has its own word for a full disk
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, PermissionError):
            raise unreadable(folder, error, "written") from error
        raise ResourceError(
            f"the checkpoint of step {step} could not be written: {error}",
            f"free disk space under {folder} ({_free(folder)} free) and go on with the run folder: the "
            "checkpoints that were there are whole",
        ) from error
    earlier = [old for old in _all(folder) if _step(old) <= step]
    for old in earlier[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return Checkpoint(target, step)


def newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint whose hashes hold, and a line for each newer one that does not.

    Raises ResourceError where one cannot be read: whether it is whole cannot be told then.
    """
    broken: list[str] = []
    for path in reversed(_all(folder)):
        reason = _fault(path)
        if reason is None:
            return Checkpoint(path, _step(path)), broken
        broken.append(f"checkpoint {path.name} is damaged ({reason})")
    return None, broken


def buried(folder: Path) -> list[str]:
    """Names of checkpoints that `set_aside` renamed."""
    return [path.name for path in there(folder) if path.name.startswith("damaged-step-")]


def set_aside(folder: Path, after: int) -> None:
    """Renames checkpoints of later steps than `after` to damaged-*: they are neither taken nor counted again."""
    for path in _all(folder):
        if _step(path) > after:
            grave = path.with_name(f"damaged-{path.name}")
            shutil.rmtree(grave, ignore_errors=True)
            path.rename(grave)


def load_weights(module: nn.Module, checkpoint: Path) -> None:
    """Puts the weights of a checkpoint into a module of the same make."""
    try:
        found = load_file(checkpoint / MODEL)
    except OSError as error:
        raise unreadable(checkpoint / MODEL, error) from error
    except SafetensorError as error:
        raise DataError(f"{MODEL} holds no weights: {error}", OTHERS, Place(str(checkpoint / MODEL))) from error
    own = weights(module)
    if found.keys() != own.keys():
        missing, extra = sorted(own.keys() - found.keys()), sorted(found.keys() - own.keys())
        raise DataError(
            f"{checkpoint} does not fit this system: missing {missing[:3]}, left over {extra[:3]}",
            "build the system from the recipe.yaml of the same run folder",
        )
    for name, value in own.items():
        if found[name].shape != value.shape:
            raise DataError(
                f"{checkpoint} does not fit this system: {name} is {tuple(found[name].shape)} there, "
                f"{tuple(value.shape)} here",
                "build the system from the recipe.yaml of the same folder",
            )
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(found[name])


def load_state(checkpoint: Path) -> dict[str, Any]:
    """What the optimiser and the loop had at the checkpoint. Nothing is unpickled but tensors and plain data.

    Raises DataError for anything else; torch's own words would advise to run what it holds.
    """
    path = checkpoint / STATE
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise unreadable(path, error) from error
    except Exception as error:  # unpickling raises nearly anything
        raise DataError(
            "what it holds is more than tensors and plain data, and is not read: it could run code",
            OTHERS,
            Place(str(path)),
        ) from error
    if not isinstance(state, dict):
        raise DataError("it is no state of a run", OTHERS, Place(str(path)))
    return state


def _fault(path: Path) -> str | None:
    """What is damaged about a checkpoint; None where it is whole."""
    try:
        manifest = json.loads(read(path / MANIFEST))
        wrong = next(
            (
                f"{name} differs from its hash"
                for name in (MODEL, STATE)
                if _hash(path / name) != manifest["sha256"][name]
            ),
            None,
        )
        if wrong is None:
            with safe_open(path / MODEL, "pt") as file:
                told = {manifest["step"], int((file.metadata() or {}).get("step", _step(path)))}  # older ones say none
            wrong = None if told == {_step(path)} else f"it is of step {' or '.join(map(str, sorted(told)))}"
        return wrong
    except GONE as error:
        return f"{Path(error.filename).name} is gone"
    except KeyError as error:
        return f"{MANIFEST} says nothing of {error.args[0]}"
    except (ValueError, TypeError, SafetensorError) as error:
        return f"{MANIFEST} or {MODEL} is cut: {error}"


def _all(folder: Path) -> list[Path]:
    """The checkpoints by number of steps, not by name: from a million on names have a digit more. What somebody keeps
    under a longer name (`step-000400-best`) is none of them."""
    return sorted((path for path in there(folder) if re.fullmatch(r"step-[0-9]+", path.name)), key=_step)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _free(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 2**20:.0f} MiB"


def _clear(folder: Path) -> None:
    """Removes what a killed process left half written."""
    for path in folder.glob(".writing-*"):
        shutil.rmtree(path, ignore_errors=True)


def _hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except GONE:
        raise
    except IsADirectoryError as error:
        raise ValueError(f"{path.name} is a folder") from error
    except OSError as error:
        raise unreadable(path, error) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
