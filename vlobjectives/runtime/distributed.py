"""Several processes as one: gradients are summed, and every process computes the loss of its own rows."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
from torch import nn

from vlobjectives.errors import ResourceError, VlobjError

COLLECTIVE = timedelta(minutes=10)
"""How long one message of a step may take before its process is taken for lost."""
PATIENCE = timedelta(days=7)
"""How long the others wait while the first process reads captions or evaluates; one that dies is noticed at once."""


@dataclass(frozen=True)
class World:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0


SINGLE = World()
"""A process by itself."""


class _State:
    """host: a gloo group for small messages of the host, so that they never wait for a GPU; alone: see `alone`."""

    host: Any = None
    alone: bool = False


def world() -> World:
    """What torchrun or `--nproc` announced in the environment, if anything."""
    if "WORLD_SIZE" not in os.environ:
        return World()
    return World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", 0)))


def join(device: torch.device) -> None:
    """Makes a GPU this process's own, and joins the process group that the environment announces, if any.

    Raises ResourceError if that does not come about.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)  # else pinned memory and whatever names no device would be the first GPU's
    if "WORLD_SIZE" not in os.environ:
        return
    try:
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=COLLECTIVE)
        _State.host = torch.distributed.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise ResourceError(
            f"the processes of this run did not find each other: {error}",
            "start them with --nproc or torchrun, which say where to meet",
        ) from error


def active() -> bool:
    """Whether this process is one of several (or a group of one), and not `alone`."""
    return torch.distributed.is_available() and torch.distributed.is_initialized() and not _State.alone


def joined() -> World:
    """This process among those that `torch.distributed` joins, whoever started them."""
    return World(torch.distributed.get_rank(), torch.distributed.get_world_size()) if active() else SINGLE


@contextmanager
def alone() -> Iterator[None]:
    """Inside, this process computes for itself: losses gather and sum nothing. The others wait."""
    was, _State.alone = _State.alone, True
    try:
        yield
    finally:
        _State.alone = was


def wait() -> None:
    """Until every process is here, however long the first one takes."""
    if active():
        torch.distributed.barrier(group=_State.host)


def leave() -> None:
    """Ends the process group; all processes do so after their last message."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
        _State.host = None


def highest(*numbers: int) -> tuple[int, ...]:
    """For each number the highest that any process gives; the same answer everywhere, in one small message."""
    if not active():
        return numbers
    asked = torch.tensor(numbers, dtype=torch.int32)
    torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX, group=_State.host)
    return tuple(asked.tolist())


def all_of(own: Any) -> list[Any]:
    """What each process holds, in rank order; plain data."""
    if not active():
        return [own]
    found: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(found, own, group=_State.host)
    return found


def from_first(own: Any) -> Any:
    """What the first process holds; plain data."""
    return all_of(own)[0]


def first_does(here: World, work: Callable[[], Any]) -> None:
    """The first process does something and the others wait; what stops it stops all with the same error."""
    stopped: VlobjError | None = None
    if here.first:
        try:
            work()
        except VlobjError as error:
            stopped = error
    stopped = from_first(stopped)
    if stopped is not None:
        raise stopped


def lost(error: BaseException) -> bool:
    """Whether an error says that another process is gone."""
    if isinstance(error, torch.distributed.DistError):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text
        for sign in (
            "Connection closed by peer",
            "Connection reset by peer",
            "Connection refused",
            "Broken pipe",
            "gloo/transport",
            "Socket Timeout",
            "Timed out waiting",
        )
    )


def sum_gradients(parameters: Iterable[nn.Parameter], bucket: int = 1 << 24) -> None:
    """Add up the gradients of all processes, in place.

    There is no DistributedDataParallel: objectives switch on and off during a run, and a parameter without a gradient
    must stay without one (its weights would decay). Which parameters have gradients is the same on every process,
    because it hangs on the step alone.

    Args:
        parameters: The model's parameters, in the same order on every process.
        bucket: The gradients are sent in messages of about so many numbers.
    """
    if not active():
        return
    waiting: list[torch.Tensor] = []
    size = 0
    for parameter in parameters:
        if parameter.grad is None:
            continue
        if waiting and parameter.grad.dtype != waiting[0].dtype:
            _sum(waiting)
            waiting, size = [], 0
        waiting.append(parameter.grad)
        size += parameter.grad.numel()
        if size >= bucket:
            _sum(waiting)
            waiting, size = [], 0
    if waiting:
        _sum(waiting)


def _sum(gradients: list[torch.Tensor]) -> None:
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    torch.distributed.all_reduce(flat)
    for gradient, part in zip(gradients, flat.split([gradient.numel() for gradient in gradients])):
        gradient.copy_(part.view_as(gradient))
