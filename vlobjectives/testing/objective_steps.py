"""Steps of one objective as its checks take them: terms, values, gradients; what is not finite is said once."""

import re
import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Batch
from vlobjectives.errors import Place
from vlobjectives.plugin_loading.attribution import files_of
from vlobjectives.system.losses import Losses
from vlobjectives.system.system import System
from vlobjectives.testing.check import CheckFailed, gradients, summed

FINITE = (
    "guard before and not after: sqrt(x + 1e-8), x / norm.clamp_min(1e-8), log(x.clamp_min(1e-8)); torch.where(ok, "
    "f(x), 0) still sends NaN back through f, torch.where(ok, x, 1.0) before f does not"
)
BACKWARD = "write out of place: autograd still needs the tensors that an operator with a trailing _ writes over"


def own(losses: Losses, name: str) -> dict[str, Tensor]:
    """The values of an objective's terms."""
    return {term: losses.value(term) for term in losses.terms if term.split("/")[0] == name}


def weighted(losses: Losses, name: str) -> Tensor:
    """What an objective adds to the loss."""
    return summed(losses.weighted(term) for term in own(losses, name))


def step(system: System, batch: Batch, name: str, **how: Any) -> tuple[Losses, dict[str, Tensor]]:
    """Losses of a batch and the gradient of what the objective adds. Raises CheckFailed where it is not finite."""
    losses = system(batch, 0, **how)
    return losses, finite(system, name, losses, batch, **how)


def finite(system: System, name: str, losses: Losses, batch: Batch, what: str = "", **how: Any) -> dict[str, Tensor]:
    """The gradients of an objective's loss. Raises CheckFailed where there is none, or one that is not finite."""
    try:
        found = gradients(system, weighted(losses, name))
    except RuntimeError as error:
        raise backward_failed(error, _first_wrong(system, name, batch, **how)[1]) from None
    if bad := [parameter for parameter, x in found.items() if not x.isfinite().all()]:
        wrong = " or ".join(sorted({"NaN" if found[one].isnan().any() else "infinite" for one in bad}))
        value = float(weighted(losses, name).detach())
        function, place = _first_wrong(system, name, batch, **how)
        raise CheckFailed(
            f"{what}the loss is {value:.3g} and the gradient of {len(bad)} of {len(found)} parameters is {wrong}, such "
            f"as of {bad[0]}{function and f'; the backward of {function} gives it first'}",
            FINITE,
            place,
            "finite_gradients",
        )
    return found


def backward_failed(error: RuntimeError, place: Place | None = None) -> CheckFailed:
    """What an error of a backward pass is: as a rule, that a tensor was written over that autograd needs."""
    reason = str(error).partition(" Hint:")[0].partition("\n")[0]
    return CheckFailed(f"its backward pass fails: {reason}", BACKWARD, place, "finite_gradients")


def _first_wrong(system: System, name: str, batch: Batch, **how: Any) -> tuple[str, Place | None]:
    """The operator whose backward fails or gives NaN first, and the author's line of it, by torch's anomaly mode."""
    with warnings.catch_warnings(record=True) as told, torch.autograd.detect_anomaly():
        warnings.simplefilter("always")
        try:
            weighted(system(batch, 0, **how), name).backward()  # type: ignore[no-untyped-call]
            return "", None
        except RuntimeError as error:
            function = re.search(r"'(\w+)Backward\d*'", str(error))
    files = files_of(system.objectives[name])
    lines = [
        Place(file, int(line))
        for each in told
        for file, line in re.findall(r'File "(.+?)", line (\d+)', str(each.message))
        if file in files
    ]
    return function[1].lower() if function else "", lines[-1] if lines else None


def shown(places: Iterable[str], most: int = 3) -> str:
    """A few of the names, and how many more there are."""
    names = sorted(places)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
