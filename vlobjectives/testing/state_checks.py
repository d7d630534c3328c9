"""What an objective keeps between steps: in buffers, which are saved, and written after a step alone."""

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

from vlobjectives.contracts.batch import Batch
from vlobjectives.errors import Place
from vlobjectives.system.system import System
from vlobjectives.testing.check import CheckFailed, demand, equal
from vlobjectives.testing.companions import alone
from vlobjectives.testing.objective_steps import own, shown, step
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.watched import AFTER_STEP, watched

RATE = 0.01
BUFFER = "keep it in a buffer, self.register_buffer(name, tensor) in build, which is saved and goes to the device; "


def state_in_buffers(toy: Toy, name: str) -> None:
    for train in (False, True):
        watched(toy, name, train)(toy.batch(), 0)
    old, batches = alone(toy, name).system(True), [toy.batch(), toy.batch(first=toy.rows)]
    objective = old.objectives[name]
    before = attributes(objective)
    _trained(old, batches[0], name)
    kept = [key for key, value in attributes(objective).items() if before.get(key) != value]
    saved = old.state_dict()
    new = alone(toy, name).system(True)
    _loaded(new, saved)
    again = new.state_dict()
    demand(again.keys() == saved.keys(), f"saved once more it has {shown(again.keys() ^ saved.keys())} beside")
    for key, x in saved.items():
        demand(not isinstance(x, Tensor) or torch.equal(x, again[key]), f"loaded and saved once more, {key} differs")
    for mode in (True, False):
        here, there = (step(system.train(mode), batches[1], name) for system in (old, new))
        _same(here, there, name, objective, kept, "training" if mode else "evaluation")


def attributes(objective: nn.Module) -> dict[str, Any]:
    """What each attribute of an objective and of its modules is, so far as it is no parameter, buffer or module."""
    found = {}
    for path, module in objective.named_modules():
        for key, value in vars(module).items():
            if not key.startswith("_") and key not in ("training", "config"):
                found[f"{path}{path and '.'}{key}"] = _mark(value)
        unsaved = module._non_persistent_buffers_set
        found |= {f"{path}{path and '.'}{key}": _mark(module._buffers[key]) for key in unsaved}
    return found


def _mark(value: Any) -> Any:
    """Something that differs once a value was exchanged or changed."""
    if isinstance(value, Tensor):
        return id(value), value._version
    if isinstance(value, list | tuple | set | dict) or hasattr(value, "maxlen"):
        return id(value), len(value), [id(each) for each in value]
    return value if isinstance(value, int | float | str | bool) else id(value)


def _trained(system: System, batch: Batch, name: str) -> None:
    """A step of the plainest optimiser, and what follows a step."""
    losses, found = step(system, batch, name)
    with torch.no_grad():
        for key, parameter in system.named_parameters():
            if key in found:
                parameter.sub_(RATE * found[key])
    system.after_step(losses)


def _loaded(system: System, saved: dict[str, Any]) -> None:
    try:
        system.load_state_dict(saved)
    except RuntimeError as error:
        raise CheckFailed(
            f"after a step what it saved is not what it can load: {str(error).splitlines()[-1].strip()}",
            "make every buffer in build in its full size, and write into it in place: self.queue.copy_(...)",
        ) from None


def _same(here: Any, there: Any, name: str, objective: nn.Module, kept: list[str], mode: str) -> None:
    try:
        equal(own(there[0], name), own(here[0], name), "loaded after a step, ", tolerance=1e-12)
        equal(there[1], here[1], "loaded after a step, the gradient ")
    except CheckFailed as error:
        names = shown([f"`{key}`" for key in kept])
        words = f": it keeps {names} between steps, which is no buffer that is saved" if kept else ""
        place = _line(objective, kept[0]) if kept else None
        raise CheckFailed(f"{error} in {mode}{words}", BUFFER + AFTER_STEP, place) from None


def _line(objective: nn.Module, key: str) -> Place | None:
    """The last line of a class in which an attribute is written, or else stands."""
    for cls in type(objective).__mro__:
        try:
            lines, first = inspect.getsourcelines(cls)
        except (TypeError, OSError):
            continue
        named = [first + n for n, line in enumerate(lines) if f"self.{key}" in line]
        written = [n for n in named if re.search(rf"self\.{re.escape(key)}(\.\w+\(|\[| *[-+*/|]?= )", lines[n - first])]
        if named:
            return Place(inspect.getsourcefile(cls), (written or named)[-1])
    return None
