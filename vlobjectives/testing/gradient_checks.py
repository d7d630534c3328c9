"""Where an objective's gradient goes: to every trained part that it reads, and nowhere else, and finite."""

from typing import Any

import torch
from torch import Tensor

from vlobjectives.system.assemble import view_parts
from vlobjectives.system.system import System
from vlobjectives.testing.check import CheckFailed, demand, summed
from vlobjectives.testing.companions import alone
from vlobjectives.testing.objective_steps import own, shown, step, weighted
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.watched import Watch, exchanging, key_of, watch, watched

NOTHING = 1e-9
"""Of the largest gradient: below it a gradient is 0 in truth, as that of the biases of keys is."""


def finite_gradients(toy: Toy, name: str) -> None:
    for train in (False, True):
        step(watched(toy, name, train), toy.batch(), name)


def gradient_where_declared(toy: Toy, name: str) -> None:
    system = alone(toy, name).system()
    objective, seen = system.objectives[name], watch(system, name)
    views = objective.views(system.inputs)
    reached = set().union(*map(view_parts, views.values()), objective.config.named("part").values())
    tied = {f"model.{one}" for part in reached if part in system.model for one in system.model[part].ties().values()}
    found = step(system, toy.batch(), name)[1]
    seen.used.clear()  # of that step; storages are used again
    losses = system(toy.batch(), 0)
    reference = read_gradients(system, seen)
    read = {place: _arriving(weighted(losses, name), x) for place, x in _read(seen)}
    for parameter in found:
        own_or_declared = parameter.startswith(f"objectives.{name}.") or parameter.split(".")[1] in reached
        demand(own_or_declared or parameter in tied, f"a gradient reaches {parameter}, which no view runs through")
    lost = [place for place, arrives in read.items() if not arrives]
    moved = {key.split(".")[1] for key, x in found.items() if key.startswith("model.") and x.any()}
    for key, view in views.items():
        stopped = f"; none comes back to {shown(lost)}, which forward reads" if lost else ""
        demand(view.part in moved, f"no gradient reaches '{view.part}', through which the view '{key}' runs{stopped}")
    for parameter, _ in objective.named_parameters():
        demand(f"objectives.{name}.{parameter}" in found, f"its own parameter {parameter} gets no gradient")
    least = NOTHING * max((float(x.abs().max()) for x in found.values()), default=0.0)
    missing = sorted(key for key in reference if key not in found or found[key].abs().max() <= least)
    if missing:
        parts = shown(sorted({f"'{key.split('.')[1]}'" for key in missing}))
        raise CheckFailed(
            f"forward reads {shown(lost or list(read))}, and no gradient comes back to "
            f"{len(missing)} parameter{'s' * (len(missing) > 1)} of {parts}, such as {missing[0]}",
            "take out .detach(), .data, torch.no_grad(), argmax or round() on the way from there to the term; a part "
            "that is a teacher and shall not learn is looked at by `.ema()`, or is expected to fail this check",
        )


def read_gradients(system: System, seen: Watch) -> dict[str, Tensor]:
    """The gradients by which whatever forward read hangs on the parameters of parts, those that are not 0."""
    dice = torch.Generator().manual_seed(0)
    total = summed((x * torch.rand(x.shape, generator=dice)).sum() for _, x in _read(seen))
    parameters = {key: p for key, p in system.named_parameters() if p.requires_grad and key.startswith("model.")}
    if not total.requires_grad:
        return {}
    found = torch.autograd.grad(total, list(parameters.values()), retain_graph=True, allow_unused=True)
    largest = max((float(x.abs().max()) for x in found if x is not None), default=0.0)
    return {key: x for key, x in zip(parameters, found) if x is not None and x.abs().max() > NOTHING * largest}


def _read(seen: Watch) -> list[tuple[str, Tensor]]:
    """What views gave that an operator of forward read, of what has a gradient."""
    return [(place, x) for place, x, _ in seen.versions if x.requires_grad and key_of(x) in seen.used]


def _arriving(total: Tensor, x: Tensor) -> bool:
    if not total.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(total, x, retain_graph=True, allow_unused=True)
    return gradient is not None and bool(gradient.any())


def every_view_used(toy: Toy, name: str) -> None:
    system, batch = watched(toy, name), toy.batch()
    other = {"view": ""}

    def exchanged(given: dict[str, Any]) -> dict[str, Any]:
        view = other["view"]
        rolled = {view: given[view].map(lambda x: x.roll(1) if x.is_floating_point() else x)} if view in given else {}
        return given | rolled

    exchanging(system, name, exchanged)
    wanted = own(system(batch, 0), name)
    for view in system.objectives[name].views(system.inputs):
        other["view"] = view
        found = own(system(batch, 0), name)
        demand(
            any(not torch.equal(found[key], wanted[key]) for key in wanted),
            f"no term changes with what the view '{view}' holds in the toy system",
        )
