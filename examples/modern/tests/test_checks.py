"""What the host relies on, of every objective of the package: on toys, and over two processes."""

import pytest
from vlobj_modern.cyclip import CyCLIP
from vlobj_modern.filip import FILIP

from vlobjectives import Objective
from vlobjectives.testing import Toy, checks_of, processes
from vlobjectives.testing.parametrize import ComponentCheck

SLOW = "processes_equal_one"
TOYS: dict[type[Objective], Toy] = {
    FILIP: Toy(objectives={"filip": {}}),
    CyCLIP: Toy(objectives={"cyclip": {}}),
}
CHECKS = {f"{cls.__name__}-{check}": check for cls, toy in TOYS.items() for check in checks_of(cls, toy)}


@pytest.mark.parametrize("check", [pytest.param(one, id=key) for key, one in CHECKS.items() if one.name != SLOW])
def test_checks(check: ComponentCheck) -> None:
    check()


@pytest.mark.slow
def test_two_processes_equal_one() -> None:
    """All objectives in one pair of processes, whose start is what takes the time."""
    placed = [check.subject.placed for check in CHECKS.values() if check.name == SLOW]
    assert processes.broken([case for toy, name in placed for case in processes.cases(toy, name)]) == {}
