"""A check of one plug-in in a toy system: its failure says what is wrong and what to change."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from vlobjectives.contracts.batch import Rows
from vlobjectives.errors import Place, PluginError, RecipeError
from vlobjectives.plugin_loading.attribution import MEND, blamed
from vlobjectives.testing.toys import Toy

Around = Callable[[Any], AbstractContextManager[Any]]
"""`ExecutionContext.around`: the context that each entry of a plan runs in, by its key."""

TOLERANCE = 1e-9
"""In float64, of the largest entry where that is above 1."""


class CheckFailed(AssertionError):
    """A plug-in does not pass a check.

    Attributes:
        hint: What to change, where the check's own hint says less.
        place: The line of the plug-in that is at fault; without one the check names the plug-in's class.
        cause: The check whose failure this is. Other checks that come upon it say so and blame nothing else.
    """

    def __init__(self, what: str, hint: str = "", place: Place | None = None, cause: str = ""):
        super().__init__(what)
        self.hint, self.place, self.cause = hint, place, cause


@dataclass(frozen=True)
class Check:
    """One check of one kind of plug-in.

    Attributes:
        section: Section of a recipe in which the kind stands: objectives, masks, pairings, model, ...
        name: Name of the check.
        description: What holds of every plug-in that passes.
        hint: Where to look if it does not hold.
        test: The check itself. It gets the toy and the plug-in's name in it, and raises if the description does not
            hold.
        expected: Why it is known not to hold; `run` then demands that it fails. "": it must hold.
    """

    section: str
    name: str
    description: str
    hint: str
    test: Callable[[Toy, str], None]
    expected: str = ""

    def __str__(self) -> str:
        return self.name

    def run(self, name: str, given: Toy | Mapping[str, Any] | None = None) -> None:
        """Check a plug-in.

        Args:
            name: Name of the plug-in, or of its entry.
            given: Its options as in a recipe (`type` where the plug-in has another name), or a Toy that has such an
                entry.

        Raises:
            CheckFailed: The plug-in does not pass, or passes and was expected to fail.
            RecipeError: The plug-in does not take the options; nothing was checked.
        """
        entries: dict[str, Any] = {} if isinstance(given, Toy) else {self.section: {name: dict(given or {})}}
        toy = given if isinstance(given, Toy) else Toy(**entries)
        try:
            self.test(toy, name)
        except RecipeError:  # options that the plug-in does not take: nothing was checked
            raise
        except Exception as error:
            failure = error if isinstance(error, CheckFailed) else raised(error)
            if not self.expected:
                words, other = self._words(toy, name, failure), failure.cause not in ("", self.name)
                raise CheckFailed(words, cause=failure.cause if other else "") from None
            return
        if self.expected:
            raise CheckFailed(
                f"{self.section}.{name} passes the check '{self.name}', which was expected to fail "
                f"({self.expected})\n    hint: take it out of the expected failures"
            )

    def _words(self, toy: Toy, name: str, failure: CheckFailed) -> str:
        """What a person reads: what is wrong, where, and what to change."""
        other = failure.cause not in ("", self.name)
        since = f", since it fails '{failure.cause}'" if other else ""
        lines = [
            f"{self.section}.{name} fails the check '{self.name}'{since}: {failure}",
            f"    at:    {failure.place or defined(toy, self.section, name)}",
            "" if other else f"    check: {self.description}",
            f"    hint:  {failure.hint or self.hint}",
        ]
        return "\n".join(line for line in lines if line and not line.endswith(" None"))


def defined(toy: Toy, section: str, name: str) -> Place | None:
    """Return the place where the class of a recipe's entry is written; of an objective, its `forward`.

    Args:
        toy: The toy with the entry.
        section: Section of the entry; `data` and `balance` have one alone.
        name: Name of the entry.

    Returns:
        File and line; None where there is no such entry, or its class was made in no file.
    """
    entry = toy.resolved.entries.get((section,) if section in ("data", "balance") else (section, name))
    if entry is None:
        return None
    written = getattr(entry.cls, "forward", entry.cls) if section == "objectives" else entry.cls
    try:
        return Place(inspect.getsourcefile(entry.cls), inspect.getsourcelines(written)[1])
    except (TypeError, OSError):  # a class that was made in no file
        return None


def raised(error: Exception) -> CheckFailed:
    """Turn an error of a plug-in's own lines into a failure at its line, without a traceback through the host.

    Raises:
        Exception: `error` itself, where it is of no line of a plug-in.
    """
    known = blamed(error)
    if isinstance(known, PluginError):
        hint = "" if known.hint == MEND else known.hint
        return CheckFailed(known.what.partition(": ")[2] or known.what, hint, known.place)
    raise error


def listed(checks: list[Check], expected: Mapping[str, str] | None) -> list[Check]:
    """Return the checks, with those that are expected to fail marked so.

    Args:
        checks: Checks of a kind.
        expected: Check -> why it cannot hold.

    Raises:
        ValueError: `expected` names a check that there is not.
    """
    expected = dict(expected or {})
    if unknown := expected.keys() - {check.name for check in checks}:
        raise ValueError(
            f"no such check: {', '.join(sorted(unknown))}; there are {', '.join(check.name for check in checks)}"
        )
    return [replace(check, expected=expected.get(check.name, "")) for check in checks]


def demand(holds: bool | Tensor, otherwise: str) -> None:
    """Raise CheckFailed with the text `otherwise` unless `holds`, a bool or a bool tensor of one element."""
    if not bool(holds):
        raise CheckFailed(otherwise)


def same(found: Tensor, wanted: Tensor, what: str, tolerance: float = TOLERANCE) -> None:
    """Demand that two tensors have equal shapes, and equal values to the tolerance; NaN is equal to nothing.

    Args:
        found: What is checked.
        wanted: What it should be.
        what: What it is called in the message.
        tolerance: Largest difference, times the largest entry of `wanted` where that is above 1.

    Raises:
        CheckFailed: They differ.
    """
    demand(found.shape == wanted.shape, f"{what} is {tuple(found.shape)}, not {tuple(wanted.shape)}")
    if found.numel() == 0:
        return
    found, wanted = found.detach().double(), wanted.detach().double()
    bound = tolerance * max(1.0, wanted.abs().max().item())
    gap = (found - wanted).abs().max().item()
    demand(gap <= bound, f"{what} differs by {gap:.3g}")


def equal(found: Any, wanted: Any, what: str, tolerance: float = TOLERANCE) -> None:
    """Demand `same` of every tensor of two values of the same form; the arguments are those of `same`.

    Raises:
        CheckFailed: They differ, or one has a tensor where the other has none.
    """
    one, other = dict(tensors(found)), dict(tensors(wanted))
    demand(one.keys() == other.keys(), f"{what} has {sorted(one)}, not {sorted(other)}")
    for key, x in one.items():
        between = "." if key and not what.endswith(" ") else ""
        same(x, other[key], f"{what}{between}{key}", tolerance)


def tensors(value: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Find every tensor of a value.

    Args:
        value: A tensor, or Rows, mappings, lists and tuples of them.
        path: Dotted place of the value itself.

    Returns:
        The dotted place of each tensor, and the tensor.
    """
    if isinstance(value, Tensor):
        yield path, value
    elif isinstance(value, Mapping) and not isinstance(value, Rows):
        for key, item in value.items():
            yield from tensors(item, f"{path}{path and '.'}{key}")
    elif isinstance(value, Rows):
        for key in value.__dataclass_fields__:
            yield from tensors(getattr(value, key), f"{path}{path and '.'}{key}")
    elif isinstance(value, list | tuple):
        for key, item in enumerate(value):
            yield from tensors(item, f"{path}{path and '.'}{key}")


@contextmanager
def untouched(who: str, *given: Any) -> Iterator[None]:
    """Demand that no tensor is written to inside of the `with` block.

    Args:
        who: What would have written, as the message names it.
        *given: Values that hold the tensors, as of `tensors`.

    Raises:
        CheckFailed: One was written to.
    """
    before = [(place, x, x._version, x.detach().clone()) for place, x in tensors(given)]
    yield
    for place, x, version, copy in before:
        changed = x._version != version or not torch.equal(x.detach().nan_to_num(), copy.nan_to_num())
        demand(not changed, f"{who} writes into {place.partition('.')[2] or 'what it was given'}")


def summed(values: Iterable[Tensor]) -> Tensor:
    """Return the sum of tensors of equal shape; of none a zero []."""
    return sum(values, torch.zeros(()))


def gradients(module: nn.Module, total: Tensor) -> dict[str, Tensor]:
    """Return the gradients of a loss.

    Args:
        module: The module whose parameters get them; what was there is cleared.
        total: [], the loss.

    Returns:
        Parameter -> a copy of its gradient, of the parameter's shape; parameters that get none are absent.
    """
    module.zero_grad(set_to_none=True)
    if total.requires_grad:
        torch.autograd.backward(total)
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def same_gradients(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Demand that gradients are equal to TOLERANCE of the largest: some are 0 in truth (key biases).

    Args:
        found: Parameter -> gradient. A parameter that is absent counts as 0.
        wanted: What they should be.

    Raises:
        CheckFailed: One differs.
    """
    largest = max((x.abs().max().item() for x in wanted.values()), default=0.0)
    for name in found.keys() | wanted.keys():
        sides = [side[name] for side in (found, wanted) if name in side]
        gap = (sides[0] - sides[1] if len(sides) == 2 else sides[0]).abs().max()
        demand(gap.item() <= TOLERANCE * max(1.0, largest), f"the gradient of {name} differs by {gap.item():.3g}")
