"""What docs/fidelity.md points at exists: the tests that hold a decision, and the fields that choose otherwise."""

import re
from pathlib import Path

from vlobjectives.registry import Registry

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "fidelity.md").read_text(encoding="utf-8")


def test_tests_exist():
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 40
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not any(f"def {test}(" in path.read_text(encoding="utf-8") for path in TESTS.rglob(file))
    ]
    assert not missing


def test_fields_exist():
    """`mask.field` in the column of fields, for every built-in; some names belong to several kinds."""
    registry, fields = Registry(), {}
    for row in registry.all():
        if hasattr(cls := registry.get(row.kind, row.name), "Config"):
            fields.setdefault(row.name, set()).update(cls.Config.model_fields)
    columns = [line.split("|")[5] for line in PAGE.splitlines() if line.startswith("|")]
    named = [pair for column in columns for pair in re.findall(r"`(\w+)\.(\w+)`", column) if pair[0] in fields]
    assert len(named) > 10
    assert not [f"{owner}.{field}" for owner, field in named if field not in fields[owner]]


def test_rows_are_whole():
    rows = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {7}
