"""Several processes as one, tried without starting any: two ranks of one Python process, in training mode."""

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from vlobjectives.errors import Place
from vlobjectives.system.losses import Losses
from vlobjectives.system.system import System
from vlobjectives.testing.check import CheckFailed, gradients, same, same_gradients, summed
from vlobjectives.testing.objective_steps import own, step, weighted
from vlobjectives.testing.ranks import Ranks
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.watched import NORM, batch_norm, watched

WORLD = 2
STATISTICS = (
    "gather before you compare rows or average over them: with x = gather(view.pooled) a mean, a covariance, a norm or "
    "a softmax over rows is that of all processes; an objective that shall see few rows sets a number as its `group`"
)


def own_messages(toy: Toy, name: str) -> None:
    for train in (False, True):
        watched(toy, name, train)(toy.batch(), 0)


def ranks_equal_one(toy: Toy, name: str) -> None:
    for group in ("all", toy.rows):
        together = toy.changed(rows=WORLD * toy.rows).grouped(name, toy.rows)
        _equal(together.changed(objectives={**together.objectives, name: _with(together, name, group)}), name, toy.rows)


def _with(toy: Toy, name: str, group: int | str) -> dict[str, Any]:
    return {**toy.objectives[name], "group": group}


def _equal(toy: Toy, name: str, rows: int) -> None:
    alone, systems = watched(toy, name, True), [watched(toy, name, True) for _ in range(WORLD)]
    batch = toy.batch()
    losses, wanted = step(alone, batch, name)
    ranks = Ranks(systems)
    apart = ranks.step([batch.rows(slice(rank * rows, (rank + 1) * rows)) for rank in range(WORLD)])
    what, hint, place = _own_rows(alone, name, ranks)
    try:
        for key, value in own(losses, name).items():
            same(summed(x.value(key) for x in apart), value, key)
        same_gradients(_summed_gradients(systems, apart, name), wanted)
    except CheckFailed as error:
        raise CheckFailed(f"over two processes {error}{what}", hint, place) from None
    alone.after_step(losses)
    for system in systems:
        system.after_step(*apart)  # in the order of ranks, as the host joins their rows
    for key, x in alone.objectives[name].named_buffers():
        first, second = (system.objectives[name].get_buffer(key) for system in systems)
        for other, words in ((second, "differs over the processes"), (x, "is not that of one process with all rows")):
            if first.shape != other.shape or not torch.allclose(first, other, equal_nan=True):
                raise CheckFailed(
                    f"after a step the buffer '{key}' {words}",
                    "write it in after_step, by nothing but the statistics that it is given, which are of all "
                    "rows; a StepSum or StepRows takes the own rows, since gathered ones would be joined twice",
                )


def _summed_gradients(systems: list[System], losses: list[Losses], name: str) -> dict[str, torch.Tensor]:
    """The gradients that the optimiser gets: those of all ranks' losses, summed over the ranks' weights."""
    modules = nn.ModuleList(systems)
    found: dict[str, torch.Tensor] = {}
    for key, x in gradients(modules, summed(weighted(one, name) for one in losses)).items():
        parameter = key.partition(".")[2]
        found[parameter] = found[parameter] + x if parameter in found else x
    return found


def _own_rows(system: System, name: str, ranks: Ranks) -> tuple[str, str, Place | None]:
    """What about an objective looks as if it were of a process's own rows: in words, what to change, where."""
    for key, module in system.objectives[name].named_modules():
        if isinstance(module, _BatchNorm):
            return f": {batch_norm(key, module)}", NORM, None
    if not ranks.rows[0]:
        return ": it computes something over the rows of its own process, and gathers nothing", STATISTICS, None
    floats = [x for x in ranks.rows[0] if x.is_floating_point()]
    if floats and not any(x.requires_grad for x in floats):
        return (
            ": what it gathers has no gradient",
            "gather with the gradient, gather(x) and not gather(x.detach()), and put no own rows in place of gathered "
            "ones: `gather` sends each process the gradient of its rows",
            None,
        )
    return ": some of it is computed over the rows of a process alone", STATISTICS, None
