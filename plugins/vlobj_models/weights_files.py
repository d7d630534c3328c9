"""Weights files, read without ever running what they hold."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from warnings import catch_warnings

import torch
from safetensors.torch import load_file
from torch import Tensor

from vlobjectives import CannotBuild

WHOLE = ("state_dict_ema", "model_ema", "state_dict", "model")
"""Where training programs put a model among other things; the averaged one first, as timm does."""
MEND = "save it with safetensors or torch.save(model.state_dict(), ...)"
FORCE, FORBID = "TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
POINTER = b"version https://git-lfs"
SHOWN = 4
"""Tensors that are named one by one."""


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, those of a state dict within another under dotted names.

    Raises CannotBuild where the file is damaged, or holds what only running it would give.
    """
    if path.is_file() and path.stat().st_size < 2**10 and path.read_bytes().startswith(POINTER):
        raise CannotBuild(f"{path} is a pointer of Git LFS to the weights and not the weights", "git lfs pull")
    try:
        with catch_warnings(action="ignore"):  # torch's, on what is refused
            held = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except Exception as error:  # of a damaged file, pickle, zip and safetensors each raise their own
        raise CannotBuild(f"{path} cannot be read as a state dict: {reason(error)}", MEND) from error
    if not isinstance(held, Mapping):
        raise CannotBuild(f"{path} cannot be read as a state dict: it holds a {type(held).__name__}", MEND)
    inner = (value for key in WHOLE if isinstance(value := held.get(key), Mapping))
    return dict(_flat(next(inner, held)))


def _flat(held: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Tensor]]:
    for key, value in held.items():
        if isinstance(value, Tensor):
            yield f"{before}{key}", value
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")


@contextmanager
def tensors_only() -> Iterator[None]:
    """Inside, torch unpickles tensors and plain data alone, whatever the library that calls it asks for.

    By torch's own switch, a variable of the environment, since timm and transformers call `torch.load` with arguments
    of their own.
    """
    before = {key: os.environ.pop(key, None) for key in (FORCE, FORBID)}
    os.environ[FORCE] = "1"
    try:
        yield
    finally:
        del os.environ[FORCE]
        os.environ.update({key: value for key, value in before.items() if value is not None})


def reason(error: BaseException) -> str:
    """Why weights could not be read, in a line; without the advice to run what they hold, which torch gives."""
    text = " ".join(str(error).split())
    if "TorchScript" in text:
        return "it is a TorchScript program, and what a file holds is never run"
    if isinstance(error, UnpicklingError) or "weights_only" in text or "trust_remote_code" in text:
        found = re.search(r"GLOBAL (\S+?)[\s`]|global:? `?([\w.]+\.\w+)", text)
        what = f" ({found[1] or found[2]})" if found else ""
        return f"it is damaged, or holds more than tensors{what}, and what such a file holds is never run"
    return text or type(error).__name__


def shortened(names: list[str], what: str = "") -> list[str]:
    """Lines on tensors, of many the first few and how many more there are."""
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return [f"{name} {what}".rstrip() for name in names[:SHOWN]] + more


def finite(tensors: Mapping[str, Tensor], names: Mapping[str, str], source: object) -> None:
    """Raises CannotBuild where a number is none; `names`: what `source` calls a tensor."""
    wrong = [names.get(key, key) for key, value in tensors.items() if not value.isfinite().all()]
    if wrong:
        more = f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise CannotBuild(
            f"{source} holds NaN or infinity: {', '.join(wrong[:SHOWN])}{more}",
            "take weights of a training that went well, or leave `weights` out",
        )
