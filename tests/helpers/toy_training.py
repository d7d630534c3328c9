"""The real trainer on a toy, in float64: batches of the toy's own source, in one process or in several."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import multiprocessing

from vlobjectives.contracts.batch import Batch
from vlobjectives.data.loader import Layout, micro_batches
from vlobjectives.data.streams import training
from vlobjectives.testing import Toy
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.trainer import Trainer

CPU = torch.device("cpu")


class Doubled:
    """Normalises as the toy does, and gives float64."""

    def __init__(self, toy: Toy):
        self.toy = toy

    def normalised(self, batch: Batch) -> Batch:
        batch = self.toy.data_module.normalised(batch)
        return batch.map(lambda x: x.double() if x.is_floating_point() else x)


def trainer(toy: Toy, layout: Layout, scaler: Any = None) -> Trainer:
    system = toy.system(train=True)
    optimiser = Optimizer(system, toy.recipe.optim, toy.recipe.run.steps)
    return Trainer(system, optimiser, Doubled(toy), layout, CPU, scaler)


def stepped(toy: Toy, steps: int, layout: Layout, of: Trainer | None = None) -> Trainer:
    """A trainer after so many steps."""
    of = of or trainer(toy, layout)
    batches = micro_batches(training(toy.data_module.feeds, layout, toy.seed), 0, steps * layout.micro_steps, 0, False)
    for step in range(steps):
        of.step(step, batches)
    return of


def over_processes(
    work: Callable[..., Any], port: int, folder: Path, *given: Any, count: int = 2, codes: Sequence[int] = (0, 0)
) -> list[Any]:
    """What `work(rank, *given)` gives in each of so many processes that are joined."""
    context = multiprocessing.get_context("fork")
    processes = [
        context.Process(target=_joined, args=(work, rank, count, port, folder, given)) for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == list(codes)
    return [torch.load(folder / f"{rank}.pt") for rank in range(count)]


def _joined(work: Callable[..., Any], rank: int, count: int, port: int, folder: Path, given: Sequence[Any]) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    torch.save(work(rank, *given), folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()
