"""What the recipes of CoCa and SyCoCa pass, shared and alone (spec/sycoca.md 5), and that `vlobj plan` says so."""

from collections import Counter

import pytest
import torch

from vlobjectives.cli import main
from vlobjectives.data.data_module import build_data
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

SHARED = {"vision": 2, "text": 1, "captioner": 1, "painter": 1, "joint": 2}
PASSES = {
    "sycoca": (SHARED, {"vision": 4, "text": 3}),
    "sycoca_base": (SHARED, {"vision": 4, "text": 3}),
    "coca": ({"vision": 1, "text": 1, "captioner": 1, "joint": 2}, {"vision": 2, "text": 2}),
}


@pytest.mark.parametrize("name", PASSES)
def test_passes(name):
    planned, alone = PASSES[name]
    resolved = resolve(load(name), Registry())
    made = build_data(resolved, described=True)
    with torch.device("meta"):
        system = assemble.system(resolved, made)
    found, apart = (
        Counter(work.key.part for work in system.plan(tuple(system.objectives), share).passes)
        for share in ("all", "none")
    )
    assert found == planned
    assert {part: apart[part] for part in alone} == alone


def test_it_says_so(capsys):
    one = [f"model.{part}.depth=1" for part in ("vision", "text", "captioner")]
    assert main(["plan", "sycoca", *one]) == 0
    assert "Passes: 2 vision, 1 text, 1 captioner, 1 painter, 2 joint." in capsys.readouterr().out
