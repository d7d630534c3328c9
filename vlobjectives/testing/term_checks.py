"""What an objective's terms say: sums and counts, where nothing is scored too, and what one pays who knows nothing."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vlobjectives.contracts.values import Joint, Term
from vlobjectives.testing.check import CheckFailed, demand
from vlobjectives.testing.objective_steps import finite
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.watched import exchanging, watched

TIMES = 4
"""How often each row stands in a batch of repeated rows."""
SHRUNK = 0.6
"""A mean over 4 times the rows is 1/4; a variance with N - 1 in place of N loses no more than a fifth."""
NEAR = 0.05
"""How far from its chance level, as a share, the loss of a system may be that knows nothing."""
FAINT = 1e-3
"""Length of the features of who knows nothing: a head makes of them scores that are all but equal."""
FITS = 25


def terms(toy: Toy, name: str) -> None:
    losses = watched(toy, name)(toy.batch(), 0)
    demand(len(losses.terms) > 0, "it gives no term")
    for key, term in losses.terms.items():
        demand(isinstance(term, Term), f"{key} is a {type(term).__name__}, not a Term")
        demand(isinstance(term.total, Tensor) and term.total.dim() == 0, f"the total of {key} is no 0-d tensor")
        demand(math.isfinite(float(term.total.detach())), f"{key} is {float(term.total.detach())}")
        count = float(term.count)
        demand(count >= 0 and math.isfinite(count), f"the count of {key} is {count}")
        if term.weight:
            demand(term.total.requires_grad, f"{key} has a weight and no gradient")
            demand(term.total.dtype == torch.float64, f"{key} is {term.total.dtype} where the views are float64")


def empty_counts(toy: Toy, name: str) -> None:
    for what, bare in (
        ("captions without a word", toy.with_data(words=(0, 0))),
        ("one picture in all rows", toy.with_data(pictures=1)),
        ("a batch of one row", toy),
    ):
        system, batch = watched(bare, name), bare.batch(1 if "one row" in what else None)
        losses = system(batch, 0)
        for key, term in losses.terms.items():
            total, count = float(term.total.detach()), float(term.count)
            demand(math.isfinite(total), f"{what}: {key} is {total}")
            demand(count > 0 or total == 0, f"{what}: {key} counts nothing and is {total}, not 0")
            demand(term.total.requires_grad or not term.weight, f"{what}: {key} is not differentiable")
            chance = 0.0 if term.chance is None else float(term.chance)
            demand(math.isfinite(chance), f"{what}: the chance level of {key} is {chance}")
        finite(system, name, losses, batch, f"{what}: ")


def sums_and_counts(toy: Toy, name: str) -> None:
    rows = TIMES * toy.rows
    toy = toy.grouped(name, rows).grouped(name, "all")
    batch, system = toy.batch(), watched(toy, name)
    few = system(batch, 0).terms
    many = system(batch.rows(torch.arange(toy.rows).repeat(TIMES)), 0).terms
    for key in few.keys() & many.keys():
        (total, count), (more, counted) = ((float(x[key].total.detach()), float(x[key].count)) for x in (few, many))
        if not few[key].weight or not count or abs(total / count) < 1e-6:
            continue
        of = f"with {toy.rows} rows, and with {rows} (each {TIMES} times)"
        demand(
            counted > 1.5 * count,
            f"{key} has the count {count:g} {of} {counted:g}: a mean over rows is handed over as if it were one row",
        )
        if abs(more / counted) >= SHRUNK * abs(total / count):
            continue
        fall = f"so the value falls from {total / count:.3g} to {more / counted:.3g}"
        if counted > 1.5 * TIMES * count:
            raise CheckFailed(
                f"{key} has the count {count:g} {of} {counted:g}: it counts pairs where its total sums rows, {fall}",
                f"divide what you sum by how many you sum: {key.split('/')[1]} sums {toy.rows} rows, not {count:g}",
            )
        raise CheckFailed(
            f"{key} has the total {total:.3g} {of} {more:.3g}: it is a mean where a sum belongs, {fall}",
            "Term(rows.sum(), len(rows)): the host divides by the count over processes and micro-batches; a "
            "statistic of all rows is Term(n * statistic, n)",
        )


def chance_level(toy: Toy, name: str) -> None:
    toy = toy.grouped(name, toy.rows).grouped(name, "all")
    batch, system = toy.batch(), watched(toy, name)
    first = system(batch, 0).terms
    if not any(term.chance is not None and term.weight for term in first.values()):
        return
    blank, given = watched(toy, name), dict[str, Any]()
    views = blank.objectives[name].views(blank.inputs)
    exchanging(blank, name, lambda kwargs: given.update(kwargs | {x: _alike(kwargs[x]) for x in views}) or dict(given))
    blank(batch, 0)
    levels = levels_of(blank.objectives[name], given)
    for key, term in blank(batch, 0).terms.items():
        values = levels.get(key.partition("/")[2], [])
        if term.chance is None or not term.weight or not values:
            continue
        chance, low, high = float(term.chance), min(values), max(values)
        words = f"{low:.4g}" if high - low < NEAR else f"{low:.4g} to {high:.4g}"
        demand(
            low - NEAR * max(1.0, low) <= chance <= high + NEAR * max(1.0, high),
            f"the chance level of {key} is {chance:.4g}, and a system to which all {toy.rows} rows look alike "
            f"scores {words}",
        )


def levels_of(objective: nn.Module, given: dict[str, Any]) -> dict[str, list[float]]:
    """What each term says of given values that are all alike: by the objective's own weights and heads as they are, at
    0 (every answer as likely as any other), and where they fit best (each as likely as it is frequent)."""
    modules = [objective, *(x for x in given.values() if isinstance(x, nn.Module))]
    weights = [p for module in modules for p in module.parameters() if p.requires_grad]
    found = [_values(objective, given)]
    if weights:
        first = [p.detach().clone() for p in weights]
        _write(weights, [torch.zeros_like(p) for p in weights])
        found.append(_values(objective, given))
        for key, term in _terms(objective, given).items():
            if term.chance is not None and term.weight:
                _write(weights, first)
                _fit(weights, partial(_terms, objective, given), key)
                found.append({key: _values(objective, given).get(key, math.nan)})
    return {key: [x[key] for x in found if math.isfinite(x.get(key, math.nan))] for key in found[0]}


@torch.no_grad()
def _write(weights: list[nn.Parameter], values: list[Tensor]) -> None:
    for parameter, value in zip(weights, values):
        parameter.copy_(value)


def _fit(weights: list[nn.Parameter], terms: Callable[[], dict[str, Term]], key: str) -> None:
    """Lets these weights fit what little can be learned for one term."""
    optimiser = torch.optim.LBFGS(weights, max_iter=FITS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        term = terms()[key]
        total = term.total / max(float(term.count), 1.0)
        if total.requires_grad:
            torch.autograd.backward(total)
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]


def _terms(objective: nn.Module, given: dict[str, Any]) -> dict[str, Term]:
    return {key: one for key, one in objective(**given).items() if isinstance(one, Term)}


def _values(objective: nn.Module, given: dict[str, Any]) -> dict[str, float]:
    terms = _terms(objective, given)
    return {key: float(x.total.detach()) / float(x.count) for key, x in terms.items() if float(x.count)}


def _alike(view: Any) -> Any:
    """A view in which every row and every position has the same features: faint ones, in a joint space unit vectors."""
    length = 1.0 if isinstance(view, Joint) else FAINT

    def alike(x: Tensor) -> Tensor:
        if not x.is_floating_point() or x.dim() < 2:
            return x.detach()
        return torch.full_like(x, length / math.sqrt(x.shape[-1]), requires_grad=True)

    return view.map(alike)
