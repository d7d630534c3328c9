"""What the host relies on, of every objective of the package: on toys, and over two processes."""

import pytest
from vlobj_modern.cyclip import CyCLIP
from vlobj_modern.filip import FILIP

from vlobjectives import Objective
from vlobjectives.testing import Check, Toy, objective_checks, processes

CLASSES: dict[str, type[Objective]] = {"filip": FILIP, "cyclip": CyCLIP}


def toy(name: str) -> Toy:
    return Toy(objectives={name: {}}, components={f"objective:{name}": CLASSES[name]})


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("check", [one for one in objective_checks() if one.name != "processes_equal_one"], ids=str)
def test_checks(check: Check, name: str) -> None:
    check.run(name, toy(name))


def test_two_processes_equal_one() -> None:
    """All objectives in one pair of processes, whose start is what takes the time."""
    cases = [case for name in CLASSES for case in processes.cases(toy(name), name)]
    assert processes.broken(cases) == {}
