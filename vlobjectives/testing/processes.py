"""The check that W processes are one: two real processes that talk over gloo, against one with all rows."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, multiprocessing

from vlobjectives.runtime.distributed import sum_gradients
from vlobjectives.testing.check import CheckFailed, demand, gradients, same, same_gradients
from vlobjectives.testing.process_checks import ranks_equal_one
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.watched import without_dropout

WORLD = 2
ROWS = 32
"""Rows of each process."""
START = "spawn"
"""How processes begin; "fork" spares them the imports, and is for who knows that no GPU and no thread is in use."""
GROUP = 16
"""The rows that pairings choose among, and the number that `group` is tried with."""


@dataclass(frozen=True)
class Case:
    """An objective in a toy, with the `group` that it is tried with.

    Attributes:
        toy: The toy, in whose entry of the objective `group` stands.
        name: Name of the objective.
    """

    toy: Toy
    name: str

    def __str__(self) -> str:
        return f"{self.name} with group: {self.toy.objectives[self.name]['group']}"


def cases(toy: Toy, name: str) -> list[Case]:
    """Return the two cases of an objective: `group: all` and `group: 16`, a pairing's group 16 in both.

    Args:
        toy: A toy that has the objective.
        name: Name of the objective.
    """
    paired = toy.changed(rows=WORLD * ROWS).grouped(name, GROUP)
    return [
        Case(paired.changed(objectives={name: {**paired.objectives[name], "group": group}}), name)
        for group in ("all", GROUP)
    ]


def processes_equal_one(toy: Toy, name: str) -> None:
    """Demand that two processes of 32 rows give the terms, gradients and buffers of one process of 64 rows.

    What two ranks of one process already show is said without starting any: it would be the same words.

    Args:
        toy: A toy that has the objective.
        name: Name of the objective.

    Raises:
        CheckFailed: A term or a gradient differs from one process's, or a buffer after a step over the processes.
    """
    ranks_equal_one(toy, name)
    for case, why in broken(cases(toy, name)).items():
        raise CheckFailed(f"{case}: {why}")


def broken(tried: Sequence[Case]) -> dict[str, str]:
    """Find the cases in which two processes differ from one.

    All cases run in one pair of processes: starting them is what costs the time.

    Args:
        tried: The cases, as `cases` gives them for each objective.

    Returns:
        The case in words -> what differs; empty where all are equal.
    """
    found = {}
    for case, several in zip(tried, over_processes(tried)):
        system = without_dropout(case.toy.system(True), case.name)
        losses = system(case.toy.batch(), 0)
        try:
            for key in losses.terms:
                same(several["values"][key], losses.value(key), key)
            same_gradients(several["gradients"], gradients(system, losses.total))
            for key, apart in several["apart"].items():
                demand(not apart, f"after a step the buffer '{key}' differs over the processes")
        except CheckFailed as error:
            found[str(case)] = str(error)
    return found


def over_processes(tried: Sequence[Case]) -> list[Mapping[str, Mapping[str, Tensor]]]:
    """Take a step of each case in two processes.

    Returns:
        For each case `values` (term -> [] float64, summed over processes), `gradients` (parameter -> the gradient as
        the optimiser gets it) and `apart` (buffer -> [] int64, 1 where it differs over the processes after the step).
    """
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.start_processes(  # type: ignore[attr-defined,no-untyped-call]  # torch gives it no types
            _process, (tuple(tried), folder), nprocs=WORLD, start_method=START
        )
        found: list[Mapping[str, Mapping[str, Tensor]]] = torch.load(Path(folder) / "found.pt")
        return found


def _process(rank: int, tried: Sequence[Case], folder: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", f"file://{folder}/store", rank=rank, world_size=WORLD, timeout=timedelta(seconds=60)
    )
    found = [_step(case, rank) for case in tried]
    if rank == 0:
        torch.save(found, Path(folder) / "found.pt")
    distributed.destroy_process_group()


def _step(case: Case, rank: int) -> dict[str, dict[str, Tensor]]:
    system = without_dropout(case.toy.system(True), case.name)
    losses = system(case.toy.batch(ROWS, rank * ROWS), 0)
    values = {key: losses.value(key).detach().double() for key in losses.terms}
    gradients(system, losses.total)
    sum_gradients(system.parameters())
    for value in values.values():
        distributed.all_reduce(value)
    summed = {key: p.grad for key, p in system.named_parameters() if p.grad is not None}
    system.after_step(losses)
    apart = {key: _apart(x) for key, x in system.objectives[case.name].named_buffers()}
    return {"apart": apart, "values": values, "gradients": summed}


def _apart(buffer: Tensor) -> Tensor:
    """Whether a buffer differs from the first process's anywhere: 0 or 1."""
    first = buffer.double().clone()
    distributed.broadcast(first, 0)
    differs = (first != buffer.double()).any().long()
    distributed.all_reduce(differs)
    return differs
