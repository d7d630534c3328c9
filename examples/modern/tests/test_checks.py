"""What the host relies on, of every objective of the package: on toys, and over two processes."""

import pytest
from _pytest.mark.structures import ParameterSet
from vlobj_modern.cyclip import CyCLIP
from vlobj_modern.filip import FILIP
from vlobj_modern.flair import FLAIR
from vlobj_modern.negclip import NegCLIP
from vlobj_modern.silc import SILC
from vlobj_modern.slip import SLIP

from vlobjectives import Objective
from vlobjectives.testing import Toy, checks_of, processes
from vlobjectives.testing.parametrize import ComponentCheck

SLOW = "processes_equal_one"
OTHER = {"fields": ["caption"], "part": "text"}
VIEWS = {"view_1": {"fields": ["image"], "part": "vision"}, "view_2": {"fields": ["image"], "part": "vision"}}
TOYS: dict[type[Objective], Toy] = {
    FILIP: Toy(objectives={"filip": {}}),
    CyCLIP: Toy(objectives={"cyclip": {}}),
    NegCLIP: Toy(objectives={"negclip": {}}, inputs={"wrong_caption": OTHER}),
    SLIP: Toy(objectives={"slip": {"hidden": 12, "width": 6}}, inputs=VIEWS),
    SILC: Toy(objectives={"silc": {"student": list(VIEWS), "width": 8, "hidden": 6}}, inputs=VIEWS),
    FLAIR: Toy(objectives={"flair": {"heads": 2}}, inputs={"caption_2": OTHER}),
}
QUICK = (NegCLIP, SILC)
"""Held whenever tests run: a second text, and a teacher with buffers; the others with `pytest -m slow`."""
CHECKS = {f"{cls.__name__}-{check}": check for cls, toy in TOYS.items() for check in checks_of(cls, toy)}


def marked(key: str, check: ComponentCheck) -> ParameterSet:
    slow = not key.startswith(tuple(cls.__name__ for cls in QUICK))
    return pytest.param(check, id=key, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize("check", [marked(key, one) for key, one in CHECKS.items() if one.name != SLOW])
def test_checks(check: ComponentCheck) -> None:
    check()


@pytest.mark.slow
def test_two_processes_equal_one() -> None:
    """All objectives in one pair of processes, whose start is what takes the time."""
    placed = [check.subject.placed for check in CHECKS.values() if check.name == SLOW]
    assert processes.broken([case for toy, name in placed for case in processes.cases(toy, name)]) == {}
