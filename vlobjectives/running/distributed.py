"""Several processes as one: gradients are summed, and every process computes the loss of its own rows."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class World:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def first(self) -> bool:
        return self.rank == 0


def join(device: str) -> World:
    """Joins the process group that torchrun or `--nproc` announced in the environment, if any."""
    if "WORLD_SIZE" not in os.environ:
        return World()
    world = World(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_RANK", 0)))
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    return world


def active() -> bool:
    """Whether this process is one of several (or a group of one)."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def wait() -> None:
    """Until every process is here."""
    if active():
        torch.distributed.barrier()


def leave() -> None:
    if active():
        torch.distributed.destroy_process_group()


def sum_gradients(parameters: Iterable[nn.Parameter], bucket: int = 1 << 24) -> None:
    """Adds up the gradients of all processes, in place, in messages of about `bucket` numbers.

    No DistributedDataParallel: objectives switch on and off during a run, and a parameter without a gradient must
    stay without one (its weights would decay). Which parameters have gradients is the same on every process,
    because it hangs on the step alone.
    """
    if not active():
        return
    waiting: list[torch.Tensor] = []
    size = 0
    for parameter in parameters:
        if parameter.grad is None:
            continue
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


def any_of(flag: bool) -> bool:
    """Whether any process says so; the same answer everywhere."""
    if not active():
        return flag
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    asked = torch.tensor(int(flag), device=device)
    torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
    return bool(asked)
