"""What `vlobj plan` says of the recipes of CoCa and SyCoCa (spec/sycoca.md 5)."""

import json

import pytest

from vlobjectives.cli import main

SHARED = {"vision": 2, "text": 1, "captioner": 1, "painter": 1, "joint": 2}
PASSES = {"sycoca": (SHARED, {"vision": 4, "text": 3}), "sycoca_base": (SHARED, {"vision": 4, "text": 3}),
          "coca": ({"vision": 1, "text": 1, "captioner": 1, "joint": 2}, {"vision": 2, "text": 2})}


@pytest.mark.parametrize("recipe", PASSES)
def test_passes(recipe, capsys):
    """Shared and alone."""
    planned, alone = PASSES[recipe]
    assert main(["plan", recipe, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    found = {name: schedule["passes"] for name, schedule in plan["schedules"].items()}
    assert found["planned"] == planned
    assert {part: found["unshared"][part] for part in alone} == alone


def test_it_says_so(capsys):
    assert main(["plan", "sycoca"]) == 0
    assert "Passes: 2 vision, 1 text, 1 captioner, 1 painter, 2 joint." in capsys.readouterr().out
