"""Statistics of an optimiser step: what objectives return beside terms, over micro-batches and processes, for
`after_step`."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.values import StepRows, StepSum
from vlobjectives.errors import NonFiniteError, Place
from vlobjectives.functional.all_gather import all_gather_with_grad
from vlobjectives.plugin_loading.attribution import ContractError, work_of
from vlobjectives.plugin_loading.instantiate import asked_for, met
from vlobjectives.runtime import distributed

Statistic: TypeAlias = StepSum | StepRows
Statistics: TypeAlias = Mapping[str, Mapping[str, Statistic]]
"""Objective -> name -> what it returned on a micro-batch."""
Joined: TypeAlias = dict[str, dict[str, Tensor]]
"""Objective -> name -> what `after_step` gets."""
ASK = "call the arguments of after_step as the statistics that forward returns beside its terms"
ALIKE = "a statistic has the same kind, dtype and shape in every call, and as many rows on every process"


def detached(statistic: Statistic) -> Statistic:
    """The same without gradient."""
    if isinstance(statistic, StepRows):
        return StepRows(statistic.rows.detach())
    count = statistic.count
    return StepSum(statistic.total.detach(), count.detach() if isinstance(count, Tensor) else count)


def added(name: str, one: Any, other: Any, objective: Objective) -> Statistic:
    """A statistic over the rows of both. Raises ContractError where they do not fit each other."""
    a, b = _form(one), _form(other)
    if a != b:
        why = f"forward returned '{name}' as {a} and then as {b}"
        raise ContractError(why, ALIKE, objective.forward)
    if isinstance(one, StepRows):
        return StepRows(torch.cat([one.rows, other.rows]))
    return StepSum(one.total + other.total, one.count + other.count)


@torch.no_grad()
def joined(objectives: Mapping[str, Objective], names: Sequence[str], parts: Sequence[Statistics]) -> Joined:
    """What `after_step` gets of the objectives `names`, live in this step; `parts` are its micro-batches in order.

    On several processes all call it. Raises ContractError, the same on every process, where what `forward` returned
    and what `after_step` asks for are not the same names, or shapes differ.
    """
    found: dict[str, dict[str, list[Statistic]]] = {}
    for name in names:
        with work_of(("objectives", name), "the statistics of a step", objectives[name]):
            found[name] = _micro_batches(objectives[name], [part.get(name, {}) for part in parts])
    flat = {(name, key): one for name, own in found.items() for key, one in own.items()}
    if flat or any(takes(objectives[name]) for name in names):
        _refuse_differing(objectives, flat)
    values: Joined = {name: {} for name in names if takes(objectives[name])}
    sums = {key: one for key, one in flat.items() if isinstance(one[0], StepSum)}
    for (name, key), value in {**_means(sums), **_rows(flat)}.items():
        values[name][key] = value
    return values


@torch.no_grad()
def hand_over(objectives: Mapping[str, Objective], values: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Calls `after_step` of each objective with what `joined` gave for it."""
    for name, own in values.items():
        objective = objectives[name]
        with work_of(("objectives", name), "after_step", objective):
            objective.after_step(**asked_for(objective.after_step, own))


def non_finite(values: Joined) -> list[tuple[str, str]]:
    """The statistics, as (objective, name), that hold NaN or infinity."""
    return [(name, key) for name, own in values.items() for key, x in own.items() if not x.isfinite().all()]


def refuse_non_finite(objectives: Mapping[str, Objective], step: int, broken: Sequence[tuple[str, str]]) -> None:
    """Raises NonFiniteError for the first of these statistics, before it comes into a buffer."""
    for name, key in broken:
        code = type(objectives[name]).forward.__code__
        raise NonFiniteError(
            f"objectives.{name}: step {step}: the statistic '{key}' for after_step went non-finite",
            "no buffer was changed; guard divisions and logarithms in forward",
            Place(code.co_filename, code.co_firstlineno),
        )


def takes(objective: Objective) -> bool:
    """Whether an objective does something after a step."""
    return type(objective).after_step is not Objective.after_step


def state(objective: Objective) -> dict[str, tuple[int, ...]]:
    """Buffer -> shape, of an objective that does something after a step."""
    return {name: tuple(x.shape) for name, x in objective.named_buffers()} if takes(objective) else {}


def _micro_batches(objective: Objective, parts: Sequence[Mapping[str, Statistic]]) -> dict[str, list[Statistic]]:
    """Name -> the statistic of each micro-batch, held against each other and against what `after_step` names."""
    first = parts[0] if parts else {}
    for part in parts[1:]:
        for name in first.keys() | part.keys():
            one, other = _form(first.get(name)), _form(part.get(name))
            if one != other:
                why = f"forward returned '{name}' as {one} and then as {other}"
                raise ContractError(why, ALIKE, objective.forward)
    call = objective.after_step
    wanted = inspect.signature(call).parameters
    every = any(p.kind is p.VAR_KEYWORD for p in wanted.values()) and takes(objective)
    if idle := [name for name in first if name not in wanted and not every]:
        takers = "which has no after_step" if not takes(objective) else "and after_step does not name it"
        why = f"forward of {type(objective).__name__} returns the statistic '{idle[0]}', {takers}"
        raise ContractError(
            why, f"def after_step(self, {', '.join(first)})", call if takes(objective) else objective.forward
        )
    if takes(objective):
        met(call, first, ASK)
    return {name: [part[name] for part in parts] for name in first}


def _form(statistic: Any) -> str:
    """What has to be equal in every call, in words."""
    if isinstance(statistic, StepSum):
        return f"a StepSum of {statistic.total.dtype} {list(statistic.total.shape)}"
    if isinstance(statistic, StepRows):
        return f"StepRows of {statistic.rows.dtype} [n, {', '.join(map(str, statistic.rows.shape[1:]))}]".replace(
            ", ]", "]"
        )
    return "nothing" if statistic is None else f"a {type(statistic).__name__}"


def _refuse_differing(objectives: Mapping[str, Objective], flat: Mapping[tuple[str, str], Sequence[Statistic]]) -> None:
    """Raises ContractError where processes do not agree: messages of another size would stop or mix them."""
    if not distributed.active():
        return
    own = {
        key: (_form(one[0]), [part.rows.shape[0] for part in one if isinstance(part, StepRows)])
        for key, one in flat.items()
    }
    told = distributed.all_of(own)
    for other in told[1:]:
        for key in other | told[0]:
            if other.get(key) != told[0].get(key):
                name, statistic = key
                objective = objectives[name]
                here, there = _told(told[0], key), _told(other, key)
                why = f"the statistic '{statistic}' is {here} on one process and {there} on another"
                with work_of(("objectives", name), "the statistics of a step", objective):
                    raise ContractError(why, ALIKE, objective.forward)


def _told(forms: Mapping[tuple[str, str], tuple[str, list[int]]], key: tuple[str, str]) -> str:
    form, rows = forms.get(key, ("nothing", []))
    return form + (f" with n = {' + '.join(map(str, rows))}" if rows else "")


def _means(sums: Mapping[tuple[str, str], Sequence[Any]]) -> dict[tuple[str, str], Tensor]:
    """Sums over micro-batches and processes, divided by their counts; one message for all."""
    if not sums:
        return {}
    totals = {key: sum((part.total for part in one[1:]), one[0].total) for key, one in sums.items()}
    device = next(iter(totals.values())).device
    counts = [torch.stack([_count(part.count, device) for part in one]).sum() for one in sums.values()]
    flat = torch.cat([torch.stack(counts), *(total.double().flatten() for total in totals.values())])
    if distributed.active():
        torch.distributed.all_reduce(flat)
    count, *values = flat.split([len(counts), *(total.numel() for total in totals.values())])
    quotients = {}
    for number, (key, total), value in zip(count, totals.items(), values):
        mean = value / torch.where(number == 0, 1.0, torch.where(number > 0, number, torch.nan))
        kind = total.dtype if total.is_floating_point() else torch.get_default_dtype()
        quotients[key] = mean.view(total.shape).to(kind)
    return quotients


def _count(count: Any, device: torch.device) -> Tensor:
    if isinstance(count, Tensor):
        return count.double()
    return torch.full((), float(count), dtype=torch.float64, device=device)


def _rows(flat: Mapping[tuple[str, str], Sequence[Any]]) -> dict[tuple[str, str], Tensor]:
    """Rows in the order of one process with all of them: micro-batch after micro-batch, in each rank after rank."""
    found = {}
    for key, one in flat.items():
        if isinstance(one[0], StepRows):
            own = torch.cat([part.rows for part in one])
            if distributed.active():
                ranks = torch.distributed.get_world_size()
                everywhere = all_gather_with_grad(own).view(ranks, *own.shape)
                own = torch.cat([micro.flatten(0, 1) for micro in everywhere.split([len(x.rows) for x in one], 1)])
            found[key] = own
    return found
