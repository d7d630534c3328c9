"""Every built-in component is held to the checks of its kind: found in the registry, so that none is forgotten."""

from pathlib import Path

import pytest
from checked_forms import EXPECTED, FORMS, HELD, of_files

from vlobjectives.components import PART_KINDS
from vlobjectives.registry import Registry
from vlobjectives.testing import checks_of

TESTS = Path(__file__).parents[1]
ROWS = [(row.kind, row.name) for row in Registry(builtin_only=True).all()]
SECONDS = ("processes_equal_one",)
SHARED = ("built_ins.py", "toy_detections.py")
"""Helpers that list what tests check."""
QUICK = ("retrieval",)
"""Evaluations of which the others' checks are slow tests."""


def key(kind, name):
    return ("part" if kind in PART_KINDS else kind, name)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return of_files(tmp_path_factory.mktemp("files"))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, marks=[pytest.mark.slow] * (kind == "evaluation" and name not in QUICK), id=name)
        for kind, name in ROWS
        if key(kind, name) not in HELD
    ],
)
def test_a_built_in_passes_all_checks(kind, name, files):
    given = {**FORMS, **files}.get((kind, name))
    for check in checks_of(f"{kind}:{name}", given, EXPECTED.get((kind, name))):
        if check.name not in SECONDS:
            check()


def test_those_that_are_held_elsewhere_are_named_there():
    known = {key(*row) for row in ROWS}
    shared = "".join((TESTS / "helpers" / file).read_text(encoding="utf-8") for file in SHARED)
    for (kind, name), test in HELD.items():
        assert (kind, name) in known, f"there is no built-in {kind} '{name}' any more"
        text = (TESTS / test).read_text(encoding="utf-8")
        assert "_checks(" in text and name in text + shared, f"{test} does not check {kind} '{name}'"


def test_no_form_is_of_a_component_that_is_gone(files):
    assert {*FORMS, *files, *EXPECTED} <= set(ROWS)
