"""The checks of balancers: equal everywhere, finite, state that is saved, objectives that are not live."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from vlobjectives.contracts.balancer import Balancer, StepLosses
from vlobjectives.contracts.noise import Noise
from vlobjectives.costs.shape_check import troubles
from vlobjectives.data.differences import difference
from vlobjectives.functional import noise
from vlobjectives.system import assemble
from vlobjectives.testing.check import Check, CheckFailed, demand, listed, untouched
from vlobjectives.testing.sameness import random_state, states_kept
from vlobjectives.testing.toys import Toy

STEPS = 4
SIZES = {"vision": 6, "text": 5}
"""Parts of the steps that a balancer is shown, and how many of their numbers it sees."""
DRAW = "draw from `step.noise`, a pure function of seed, step and objective"


def balancer_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of balancers; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


def made(toy: Toy) -> Balancer:
    """The toy's balancer, as the host makes it."""
    balancer = assemble.build_balancer(toy.resolved)
    if balancer is None:
        raise CheckFailed("the toy has no balancer", "Toy(balance={'my_balancer': {}})")
    return balancer


def shown(balancer: Balancer, number: int, names: tuple[str, ...] | None = None, scale: float = 1.0) -> StepLosses:
    """A step that the host could show: losses from `scale` on, gradients that agree in part and in part do not."""
    names = names or balancer.objectives
    places = torch.tensor([balancer.objectives.index(name) for name in names])

    def drawn(what: str, *shape: int) -> Tensor:
        return noise.random_uniform(noise.prng_key(what, number), places, *shape, dtype=torch.float64)

    factors = torch.ones(len(names), dtype=torch.float64)
    gradients = {part: (drawn(part, size) - 0.4) * scale for part, size in SIZES.items()}
    return StepLosses(
        names,
        scale * (0.5 + drawn("loss", 1)[:, 0]),
        torch.ones(len(names), dtype=torch.float64),
        factors,
        Noise(0, "balance", number, places),
        gradients if balancer.needs_gradients else {},
    )


@dataclass
class Given:
    """What a balancer gave for a step: all that the host takes of it."""

    factors: Tensor
    combined: Mapping[str, Tensor]
    metrics: Mapping[str, Tensor]
    loss: Tensor | None
    gradients: Mapping[str, Tensor]
    state: Mapping[str, Tensor]


def taken(balancer: Balancer, step: StepLosses) -> Given:
    """One step as the host takes it, its parameters moved a little in place of the optimiser."""
    with torch.no_grad():
        factors = balancer.factors(step.names)
        demand(
            isinstance(factors, Tensor) and factors.shape == (len(step.names),),
            f"factors gives {getattr(factors, 'shape', factors)} for {len(step.names)} live objectives, not [n]",
        )
        step = replace(step, factors=factors.double().clone())
        with untouched("combine", _tensors(step)):
            combined = dict(balancer.combine(step))
        with untouched("metrics", _tensors(step)):
            metrics = dict(balancer.metrics(step))
    balancer.zero_grad(set_to_none=True)
    with untouched("loss", _tensors(step)):
        loss = balancer.loss(step)
    if loss is not None:
        demand(loss.dim() == 0, f"its loss has the shape {list(loss.shape)}, and it must be one number")
        torch.autograd.backward(loss)
    moved = {name: p.grad.clone() for name, p in balancer.named_parameters() if p.grad is not None}
    with torch.no_grad():
        for name, parameter in balancer.named_parameters():
            if name in moved:
                parameter.sub_(0.1 * moved[name])
        with untouched("after_step", _tensors(step)):
            balancer.after_step(step)
    state = {name: value.clone() for name, value in balancer.state_dict().items()}
    return Given(factors.clone(), combined, metrics, None if loss is None else loss.detach(), moved, state)


def _tensors(step: StepLosses) -> dict[str, Any]:
    return {
        "step": {
            "losses": step.losses,
            "weights": step.weights,
            "factors": step.factors,
            "gradients": dict(step.gradients),
        }
    }


def _as_dict(given: Given) -> dict[str, Any]:
    return {name: value for name, value in vars(given).items() if value is not None}


# ---- checks


def equal_everywhere(toy: Toy, name: str) -> None:
    found: list[list[Given]] = []
    for state in (1, 2):
        with random_state(state):
            balancer = made(toy)
            steps = [shown(balancer, number) for number in range(STEPS)]
            with states_kept("the balancer", DRAW):
                found.append([taken(balancer, step) for step in steps])
    for number, (one, other) in enumerate(zip(*found)):
        where = difference(_as_dict(one), _as_dict(other))
        demand(not where, f"two processes that are shown the same go apart at step {number}: {where}")


def read_only(toy: Toy, name: str) -> None:
    balancer = made(toy)
    for number in range(STEPS):
        taken(balancer, shown(balancer, number))


def finite(toy: Toy, name: str) -> None:
    for what, step in _extremes(made(toy)):
        balancer = made(toy)
        given = [taken(balancer, step(balancer, number)) for number in range(STEPS)]
        for number, one in enumerate(given):
            for key, value in {"factors": one.factors, **one.combined, **one.state}.items():
                demand(value.isfinite().all(), f"{key} is not finite {what}, at step {number}: {value.tolist()}")


Shown = Callable[[Balancer, int], StepLosses]


def _extremes(balancer: Balancer) -> Iterator[tuple[str, Shown]]:
    def zeros(balancer: Balancer, number: int) -> StepLosses:
        step = shown(balancer, number)
        return replace(
            step, losses=step.losses * 0, gradients={part: rows * 0 for part, rows in step.gradients.items()}
        )

    def one_is_zero(balancer: Balancer, number: int) -> StepLosses:
        step = shown(balancer, number)
        keep = torch.ones(len(step.names), dtype=torch.float64)
        keep[0] = 0
        gradients = {part: rows * keep[:, None] for part, rows in step.gradients.items()}
        return replace(step, losses=step.losses * keep, gradients=gradients)

    yield "where losses are like any", shown
    yield "where losses and gradients are tiny", lambda balancer, number: shown(balancer, number, scale=1e-6)
    yield "where losses and gradients are large", lambda balancer, number: shown(balancer, number, scale=1e3)
    yield "where nothing was scored", zeros
    yield "where nothing was scored of one objective", one_is_zero
    yield "with one live objective", lambda balancer, number: shown(balancer, number, balancer.objectives[:1])


def state_round_trip(toy: Toy, name: str) -> None:
    balancer, other = made(toy), made(toy)
    for number in range(STEPS):
        taken(balancer, shown(balancer, number))
    try:
        other.load_state_dict({key: value.clone() for key, value in balancer.state_dict().items()})
    except RuntimeError as error:
        raise CheckFailed(f"its state is not taken back: {error}") from None
    for number in range(STEPS, STEPS + 2):
        one, again = (taken(each, shown(balancer, number)) for each in (balancer, other))
        where = difference(_as_dict(one), _as_dict(again))
        demand(not where, f"a run that goes on is another one: after {number} steps {where}")


def not_live(toy: Toy, name: str) -> None:
    balancer = made(toy)
    all_, gone = balancer.objectives, balancer.objectives[1]
    live = tuple(name for name in all_ if name != gone)
    for number in range(2):
        taken(balancer, shown(balancer, number))
    before = {key: value.clone() for key, value in balancer.state_dict().items()}
    given = taken(balancer, shown(balancer, 2, live))
    for key, value in given.combined.items():
        demand(value.shape == (SIZES[key],), f"combine gives {list(value.shape)} for '{key}', not [{SIZES[key]}]")
    place = all_.index(gone)
    for key, now in given.state.items():
        was = before[key]
        own = gone in key.split(".")
        if own or (now.dim() and now.shape[0] == len(all_)):
            kept = torch.equal(now, was) if own else torch.equal(now[place], was[place])
            demand(kept, f"'{key}' of {gone} changes at a step at which {gone} is not live")
    for key, gradient in given.gradients.items():
        if gone in key.split("."):
            raise CheckFailed(f"the parameter '{key}' has a gradient where {gone} is not live, and decays with it")
        if gradient.dim() and gradient.shape[0] == len(all_):
            demand(not gradient[place].any(), f"'{key}' of {gone} has a gradient where {gone} is not live")


def static(toy: Toy, name: str) -> None:
    for error in troubles(toy.resolved):
        if error.path[:1] == ("balance",):
            raise CheckFailed(error.why, error.hint)
        raise error


def asks_for_what_it_needs(toy: Toy, name: str) -> None:
    balancer = made(toy)
    own = cast(Any, type(balancer)).combine is not Balancer.combine
    demand(
        balancer.needs_gradients or not own,
        "it has a `combine`, and is given no gradients: it never says needs_gradients = True",
    )


_CHECKS = [
    Check(
        "balance",
        "asks_for_what_it_needs",
        "A balancer that combines gradients says that it needs them.",
        "write needs_gradients = True in the class.",
        asks_for_what_it_needs,
    ),
    Check(
        "balance",
        "read_only",
        "A balancer writes into nothing that it is given, and gives a factor for each live objective.",
        "make new tensors; what is kept goes into a buffer of its own in after_step.",
        read_only,
    ),
    Check(
        "balance",
        "equal_everywhere",
        "Every process, and every run of a seed, has the same factors, gradients and state.",
        DRAW + ".",
        equal_everywhere,
    ),
    Check(
        "balance",
        "finite",
        "Factors, gradients and state are finite, however small losses and gradients are, and with one live objective.",
        "guard divisions by a loss, a norm or their sum: torch.where(x > 0, ..., ...), clamp(min=...).",
        finite,
    ),
    Check(
        "balance",
        "state_round_trip",
        "All that it has learned lies in parameters and buffers, which are saved and restored with the run.",
        "register_buffer(name, tensor) in __init__, written in place in after_step; no plain attribute.",
        state_round_trip,
    ),
    Check(
        "balance",
        "not_live",
        "What it knows of an objective stays as it is while the objective is not live.",
        "find its numbers by [self.objectives.index(name) for name in step.names], never by place among the live.",
        not_live,
    ),
    Check(
        "balance",
        "static",
        "A step can be planned: no number is asked of the device.",
        "keep numbers in tensors: torch.where in place of `if`, no .item(), no .tolist().",
        static,
    ),
]
