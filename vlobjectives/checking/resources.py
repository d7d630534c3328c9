"""Stage `resources`: device, processes, disk and memory are there."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.costs import shape_check
from vlobjectives.errors import Problem, ResourceError
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.report import Report
from vlobjectives.runtime.resources import device_of

STAGE = "resources"
GIGA = 1e9


def means(
    loaded: Loaded,
    built: MetaBuild,
    step: shape_check.Step | None,
    processes: int,
    place: Path | None,
    going_on: bool,
    report: Report,
) -> None:
    """Whether a run would have what it needs. `step`: what a step costs, None where that is not known.

    going_on  there is a checkpoint, which holds every weight: none is asked for that the run once started from
    """
    found = [*_device(loaded, processes), *([] if going_on else _weights(loaded, built))]
    if step is not None:
        found += [*_disk(loaded, step, place), *([] if found else _memory(loaded, step))]
    report.add(STAGE, found, ResourceError.code)


def _device(loaded: Loaded, processes: int) -> Iterator[Problem]:
    run = loaded.recipe.run
    try:
        device = device_of(run.device)
    except ResourceError as error:
        yield loaded.problem(("run", "device"), error.what, error.hint)
        return
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if processes > count:
            yield loaded.problem(
                ("run", "device"),
                f"{processes} processes want a GPU each, and torch sees {count}",
                f"--nproc {count}, or run.device=cpu",
            )
    elif run.precision == "fp16":
        yield loaded.problem(("run", "precision"), "fp16 is for GPUs", "run.precision=auto")


def _weights(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    """Starting weights that are not here and cannot be fetched."""
    for name, part in built.parts.items():
        if why := part.weights_missing():
            yield loaded.problem(
                ("model", name, "weights"),
                why,
                f"model.{name}.weights=FOLDER for a folder that "
                f"holds them, or model.{name}.weights=null to start from scratch",
            )


def _disk(loaded: Loaded, step: shape_check.Step, place: Path | None) -> Iterator[Problem]:
    """Room for the checkpoints that are kept and the one that is being written: weights and AdamW's averages."""
    folder = place or Path(loaded.recipe.run.folder)
    above = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(above, os.W_OK):
        yield loaded.problem(("run", "folder"), f"{above} cannot be written to", "run.folder=..., or --out")
        return
    one = step.memory.parts["weights"] + step.memory.parts["optimiser"]
    keep = loaded.recipe.run.checkpoint.keep + 1
    free = shutil.disk_usage(above).free
    if one * keep > free:
        yield loaded.problem(
            ("run", "checkpoint"),
            f"{keep} checkpoints of {one / GIGA:.1f} GB do not fit into the "
            f"{free / GIGA:.1f} GB that are free under {above}",
            "free some, keep fewer (run.checkpoint.keep), or name another disk with --out",
        )


def _memory(loaded: Loaded, step: shape_check.Step) -> Iterator[Problem]:
    """The estimate against what the device has."""
    device = device_of(loaded.recipe.run.device)
    total = torch.cuda.get_device_properties(device).total_memory if device.type == "cuda" else _host_memory()
    if step.memory.peak > total:
        yield loaded.problem(
            ("data", "micro_batch"),
            f"a step needs about {step.memory.peak / GIGA:.1f} GB, and {device} has {total / GIGA:.1f} GB",
            "lower data.micro_batch, or name large parts under plan.checkpoint; `vlobj plan` shows who holds what",
        )


def _host_memory() -> int:
    """Bytes of this machine, or of the control group that this process may use."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="utf-8").strip() if limit.is_file() else ""
    return min(total, int(text)) if text.isdecimal() else total
