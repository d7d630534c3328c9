"""All checks of a component, one by one: for pytest in scikit-learn's form, and for the terminal."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from vlobjectives.components import PART_KINDS
from vlobjectives.errors import PluginError
from vlobjectives.testing.check import Check
from vlobjectives.testing.subject import Subject, subject
from vlobjectives.testing.toys import Toy

F = TypeVar("F", bound=Callable[..., Any])
CHECKS = {
    "objective": "objective_checks",
    "mask": "mask_checks",
    "pairing": "pairing_checks",
    **dict.fromkeys(PART_KINDS, "part_checks"),
    "source": "source_checks",
    "reader": "reader_checks",
    "balancer": "balancer_checks",
    "evaluation": "evaluation_checks",
    "tracker": "tracker_checks",
}
"""Kind -> the module of `testing`, and the function in it, that gives its checks."""


@dataclass(frozen=True)
class ComponentCheck:
    """One check of one component: called without arguments it passes or raises CheckFailed.

    Attributes:
        check: The check of the component's kind.
        subject: The component, in a toy.
    """

    check: Check
    subject: Subject

    @property
    def name(self) -> str:
        return self.check.name

    def expecting(self, reason: str) -> "ComponentCheck":
        """Return the same check, which must fail where there is a reason.

        Args:
            reason: Why it is known to fail; "": it must pass.
        """
        return replace(self, check=replace(self.check, expected=reason))

    def __call__(self) -> None:
        toy, name = self.subject.placed
        self.check.run(name, toy)

    def __str__(self) -> str:
        return self.check.name


def checks_of(
    component: str | type,
    options_or_toy: Toy | Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
    plugins: Sequence[str | Path] = (),
) -> list[ComponentCheck]:
    """Return all checks of a component's kind, to be called one by one.

    Args:
        component: A class of a plug-in, or the name of one that is installed (`KIND:NAME` where two kinds have it).
        options_or_toy: Its options as in a recipe, or a Toy in which it has an entry.
        expected: Check -> why it is known to fail; it must fail then.
        plugins: Local plug-in files that bring the component, or what its options name.

    Returns:
        The checks, each of which is called without arguments.

    Raises:
        PluginError: What is given is no plug-in, no name of one, or of a kind without checks.
        ValueError: `expected` names a check that there is not.
    """
    of = subject(component, options_or_toy, plugins)
    return [ComponentCheck(check, of) for check in checks_of_kind(of.kind, expected)]


def checks_of_kind(kind: str, expected: Mapping[str, str] | None = None) -> list[Check]:
    """Return all checks of a kind of plug-in.

    Args:
        kind: `objective`, `encoder`, ...
        expected: Check -> why it is known to fail; it must fail then.

    Raises:
        PluginError: There are no checks of this kind.
        ValueError: `expected` names a check that there is not.
    """
    if kind not in CHECKS:
        raise PluginError(f"there are no checks of kind {kind}", f"there are checks of {', '.join(CHECKS)}")
    checks: list[Check] = getattr(import_module(f"vlobjectives.testing.{CHECKS[kind]}"), CHECKS[kind])(expected)
    return checks


def parametrize_with_checks(
    component: str | type,
    options_or_toy: Toy | Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
) -> Callable[[F], F]:
    """Make a test of every check of a component, each under the check's name.

    Args:
        component: A class of a plug-in, or the name of one that is installed (`KIND:NAME` where two kinds have it).
        options_or_toy: Its options as in a recipe, or a Toy in which it has an entry.
        expected: Check -> why it is known to fail; it must fail then.

    Returns:
        A decorator of a test whose argument `check` is called without arguments.

    Raises:
        PluginError: What is given is no plug-in, or no name of one.
        ValueError: `expected` names a check that there is not.

    Example:
        @parametrize_with_checks(MyLoss, {"mask": "hidden_words"})
        def test_checks(check):
            check()
    """
    import pytest  # whoever only checks in a terminal needs none

    mark: Callable[[F], F] = pytest.mark.parametrize(
        "check", checks_of(component, options_or_toy, expected), ids=lambda check: check.name
    )
    return mark
