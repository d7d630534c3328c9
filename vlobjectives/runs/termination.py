"""How a run ends that does not come to its end: what the machine or a signal did, in words and with an exit code."""

import errno
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlobjectives.costs.out_of_memory import exhausted
from vlobjectives.errors import Interrupted, ResourceError, Stopped, VlobjError
from vlobjectives.files import unreadable
from vlobjectives.plugin_loading.attribution import blamed
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.runtime import distributed
from vlobjectives.runtime.resources import disk_full, out_of_memory, worker_died
from vlobjectives.runtime.signals import StopRequest, word


@dataclass
class Where:
    """How far a run has come: its folder and resolved recipe, and its Session once there is one."""

    path: Path
    resolved: Resolved
    session: Any = None


def explained(error: BaseException, at: Where, seen: int | None) -> BaseException:
    """The VlobjError that an error means for a person; the error itself if it means a bug.

    seen  the signal that arrived, if one did: what breaks afterwards (a process that left first) is its doing
    """
    if isinstance(error, StopRequest | KeyboardInterrupt) or (seen is not None and distributed.lost(error)):
        return _stopped(at, seen or signal.SIGINT)
    if isinstance(error, VlobjError):
        return error
    if out_of_memory(error):
        return _memory(error, at)
    if disk_full(error):
        return ResourceError(f"the disk is full: {error}", f"free space; `vlobj run {at.path}` goes on with the run")
    if isinstance(error, OSError) and isinstance(error.filename, str) and Path(error.filename).is_relative_to(at.path):
        return unreadable(Path(error.filename), error, "written")  # what is read says so itself
    if isinstance(error, OSError) and error.errno in (errno.EIO, errno.ESTALE):
        return ResourceError(
            f"a disk or a network folder fails: {error}",
            f"when it is well again, `vlobj run {at.path}` goes on from the last checkpoint",
        )
    if worker_died(error):
        return ResourceError(
            f"a loader worker died: {error}",
            f"free memory, or lower data.workers; `vlobj run {at.path}` goes on from the last checkpoint",
        )
    if distributed.lost(error):
        return ResourceError(
            "lost another process of this run",
            f"its own words say why; `vlobj run {at.path}` goes on from the last checkpoint",
        )
    return blamed(error) or error


def _stopped(at: Where, number: int) -> VlobjError:
    kind = Interrupted if number == signal.SIGINT else Stopped
    run = at.session
    if run is None or not run.done:
        how = "before its first step"
    elif run.done == run.recipe.run.steps:
        how = "after its last step, before its scores were there; saved"
    else:
        how = f"after step {run.done} of {run.recipe.run.steps}; " + (
            "saved" if run.saved == run.done else f"the last checkpoint is of step {run.saved}"
        )
    return kind(f"stopped by {word(number)} {how}", f"`vlobj run {at.path}` goes on")


def _memory(error: BaseException, at: Where) -> VlobjError:
    run = at.session
    if run is None:
        names = tuple(at.resolved.recipe.objectives)
        return exhausted(error, "memory ran out while the run was built", "make the model smaller", at.resolved, names)
    source = run.data_module.source_at(run.done)
    live, now = run.system.live(run.done, source), run.trainer.layout.micro
    parts = ", ".join(run.system.model)
    return exhausted(
        error,
        f"step {run.done}: memory ran out with {', '.join(live)}",
        f"lower data.micro_batch (now {now}; data.batch may stay), or recompute what the backward pass "
        f"needs: plan.checkpoint: [{parts}]",
        run.resolved,
        live,
        run.done,
        run.data_module,
        source,
    )
