"""Other numbers, and other ways to run: float32 beside bf16 passes, extreme values, fake tensors, torch.compile."""

import logging
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Batch, Rows
from vlobjectives.contracts.values import Joint, not_widened
from vlobjectives.system.losses import Losses
from vlobjectives.system.system import System
from vlobjectives.testing.check import CheckFailed, demand, same
from vlobjectives.testing.companions import alone
from vlobjectives.testing.objective_steps import backward_failed, finite, own, step, weighted
from vlobjectives.testing.static import on_fake_tensors
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.watched import exchanging, watched

LARGE = 1e4
SCALE = 100.0
"""1 / temperature where a temperature has run into its lower bound, 0.01 in CLIP."""
COMPILED = 1e-9


def single_precision(toy: Toy, name: str) -> None:
    """float32, as every run is: in float64 a tensor that was made float32 does not show, and the other way round."""
    for autocast in (None, ("cpu", torch.bfloat16)):
        system = watched(toy, name).float()
        system.autocast = autocast
        what = "beside passes in bf16: " if autocast else "in float32: "
        _finite(system, name, toy.batch(dtype=torch.float32), what)


def extreme_values(toy: Toy, name: str) -> None:
    for what, factor, direction in (
        (f"with features of {LARGE:g} and a scale of {SCALE:g}", LARGE, None),
        ("with features of 0, and rows that are all alike at a scale of 100", 0.0, 1.0),
        ("with rows that all point away from each other at a scale of 100", 1.0, -1.0),
    ):
        system = watched(toy, name).float()
        views = list(system.objectives[name].views(system.inputs))
        signs = {view: 1.0 if number == 0 or direction is None else direction for number, view in enumerate(views)}
        exchanging(system, name, partial(_extremes, factor=factor, signs=signs if direction else {}, views=views))
        _finite(system, name, toy.batch(dtype=torch.float32), f"{what}: ")


def _extremes(given: dict[str, Any], factor: float, signs: Mapping[str, float], views: Sequence[str]) -> dict[str, Any]:
    return given | {key: _extreme(given[key], factor, signs.get(key)) for key in views if key in given}


def _extreme(view: Any, factor: float, direction: float | None) -> Any:
    """Features times a factor, which keeps their graph; of a joint space unit vectors, all in one direction."""

    def change(x: Tensor) -> Tensor:
        if not x.is_floating_point():
            return x
        if not isinstance(view, Joint):
            return x * factor
        if x.dim() == 0:
            return x * 0 + SCALE
        return x if direction is None else x * 0 + direction * x.shape[-1] ** -0.5

    return view.map(change)


def _finite(system: System, name: str, batch: Batch, what: str) -> Losses:
    """A step whose terms are float32 or wider and finite, and whose gradients are."""
    losses: Losses = system(batch, 0)
    for key, term in losses.terms.items():
        total = term.total.detach()
        if term.weight and total.dtype not in (torch.float32, torch.float64):
            raise CheckFailed(
                f"{what}the total of {key} is {total.dtype}", "views arrive in float32 or wider: cast to nothing less"
            )
        demand(bool(total.isfinite()), f"{what}{key} is {float(total)}")
    finite(system, name, losses, batch, what)
    return losses


def static(toy: Toy, name: str) -> None:
    system, batch = alone(toy, name).system(), toy.batch()

    def fake(batch: Any) -> None:
        system.counts(batch, 0)
        losses = system(batch, 0)
        try:
            torch.autograd.backward(weighted(losses, name))
        except RuntimeError as error:
            raise (error if "fake" in str(error) else backward_failed(error)) from None

    watched(toy, name)(toy.batch(), 0)
    on_fake_tensors(fake, batch)


def _plain(given: dict[str, Any]) -> dict[str, Any]:
    """What is given, its values without their widening when read: the compiler does not follow that."""
    return {key: not_widened(value) if isinstance(value, Rows) else value for key, value in given.items()}


def compiled(toy: Toy, name: str) -> None:
    """torch.compile around forward, as it may be; its own backend, which changes no number and needs no compiler."""
    batch = toy.batch()
    wanted, _ = step(watched(toy, name), batch, name)
    system = alone(toy, name).system()
    log = logging.getLogger("torch._dynamo")
    level = log.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._dynamo.reset()
        log.setLevel(logging.ERROR)  # it tells of every break of its graph, and breaks are no fault
        try:
            system.objectives[name].compile(backend="eager")
            exchanging(system, name, _plain)
            found = system(batch, 0)
        except Exception as error:
            if isinstance(error, CheckFailed):
                raise
            raise CheckFailed(f"torch.compile fails on it: {str(error).splitlines()[0]}") from error
        finally:
            log.setLevel(level)
    for key, value in own(wanted, name).items():
        same(own(found, name)[key], value, f"under torch.compile {key}", COMPILED)
