"""Processes without processes: an objective on two ranks of one Python process, which take turns where they gather."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor
from torch.utils import _python_dispatch

from vlobjectives.contracts.batch import Batch
from vlobjectives.system.losses import Losses
from vlobjectives.system.system import System
from vlobjectives.testing.check import CheckFailed


class Ranks:
    """Runs a step of each system on rows of its own; `gather` joins the rows of all, with the gradient `exact`.

    Each rank is a thread, and only one moves at a time: it runs to its next gather, then the next rank does. What is
    gathered keeps its graph, so the sum of all ranks' losses has the gradients that several processes sum up.
    """

    def __init__(self, systems: Sequence[System]):
        self.systems, self.world = systems, len(systems)
        self.turn, self.gone = threading.Condition(), set[int]()
        self.moves, self.rows = 0, [list[Tensor]() for _ in systems]
        self.losses: dict[int, Losses] = {}
        self.errors: dict[int, Exception] = {}

    def step(self, batches: Sequence[Batch]) -> list[Losses]:
        """The losses of each rank, with the counts of all. Raises what the first rank raised."""
        threads = [threading.Thread(target=self._run, args=(rank, batch)) for rank, batch in enumerate(batches)]
        with torch.random.fork_rng(devices=[]), _mode_flags_kept():
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        if self.errors:
            raise self.errors[min(self.errors)]
        found = [self.losses[rank] for rank in range(self.world)]
        counts = {key: sum((x.counts[key] for x in found[1:]), found[0].counts[key]) for key in found[0].counts}
        return [replace(x, counts=counts) for x in found]

    def _run(self, rank: int, batch: Batch) -> None:
        system = self.systems[rank]
        system.gathers = lambda x: self._gather(rank, x)
        try:
            self._wait(rank)
            self.losses[rank] = system(batch, 0)
        except Exception as error:
            self.errors[rank] = error
        finally:
            with self.turn:
                self.gone.add(rank)
                self._pass_on(rank)

    def _gather(self, rank: int, x: Tensor) -> Tensor:
        self.rows[rank].append(x)
        number = len(self.rows[rank])
        with self.turn:
            self._pass_on(rank)
        self._wait(rank)
        if any(len(rows) < number for rows in self.rows):
            raise CheckFailed(
                "one process gathers where another does not, which stops a run for ever",
                "call gather in every forward, whatever the rows hold",
            )
        return torch.cat([rows[number - 1] for rows in self.rows])

    def _wait(self, rank: int) -> None:
        with self.turn:
            self.turn.wait_for(lambda: self.moves == rank)

    def _pass_on(self, rank: int) -> None:
        """Lets the next rank that is not through move."""
        others = [(rank + step) % self.world for step in range(1, self.world + 1)]
        self.moves = next((other for other in others if other not in self.gone), -1)
        self.turn.notify_all()


@contextmanager
def _mode_flags_kept() -> Iterator[None]:
    """Puts back torch's flags of dispatch modes.

    They are the process's, not a thread's: of modes that threads enter and leave in turns one flag would stay, and
    torch.compile would do nothing from then on.
    """
    held = vars(_python_dispatch)
    flags = {key: value for key, value in held.items() if key.startswith("_is_in") and isinstance(value, bool)}
    tell = getattr(_python_dispatch, "set_is_in_mode_without_ignore_compile_internals", None)
    try:
        yield
    finally:
        held.update(flags)
        if tell is not None:
            tell(flags["_is_in_any_mode_without_ignore_compile_internals"])
