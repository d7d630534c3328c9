"""The models that the field's systems are built as, each a recipe: what is fused, decoded and compared."""

import json
from collections import Counter

import pytest
import torch
from small_recipes import vlobj

from vlobjectives.data.data_module import build_data
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

LESS = ("objectives.mgsc=null", "objectives.mltc=null", "evaluate.completion=false", "plan.published=[]")
METER = (*LESS, "objectives.itc=null")
ALBEF = (
    *LESS,
    "model.fusion.looks=text",
    "pairings.others={type: hard_negatives, sides: both}",
    "objectives.itm.scheme=matched_plus_wrong",
)
SHAPES = {
    # Two streams that look at each other (arXiv 2111.02387): matched and masked words, each fused once.
    "meter": ("glscl", METER, {"vision": 1, "text": 2, "fusion": 2}),
    # Contrast first, then a text that looks at a picture which stays as it is (arXiv 2107.07651); hard negatives.
    "albef": ("glscl", ALBEF, {"vision": 1, "text": 2, "joint": 2, "fusion": 3}),
    # A causal text and a decoder that looks at the picture (arXiv 2205.01917).
    "coca": ("coca", (), {"vision": 1, "text": 1, "joint": 2, "captioner": 1}),
    # Tags and regions, a caption and its phrases, one stream for both (arXiv 2201.12596).
    "mvptr": ("mvptr", (), {"vision": 1, "text": 1, "joint": 2, "fusion": 2}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_its_passes(shape):
    name, overrides, passes = SHAPES[shape]
    resolved = resolve(load(name, overrides), Registry())
    made = build_data(resolved, described=True)
    with torch.device("meta"):
        system = assemble.system(resolved, made)
    assert Counter(work.key.runner for work in system.plan(tuple(system.objectives)).passes) == passes


@pytest.mark.parametrize("shape", ["meter", "albef"])
def test_it_is_checked_planned_and_trained(shape, capsys, tmp_path):
    """Those that are no shipped recipe; for these see test_trials.py."""
    name, overrides, _ = SHAPES[shape]
    ended = vlobj(capsys, "run", name, "--tiny", "--out", tmp_path / "run", "run.device=cpu", *overrides)
    assert ended.code == 0, ended.err
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["step"] for row in rows] == [0, 1] and all(row["gradient_norm"] > 0 for row in rows)
    planned = vlobj(capsys, "plan", tmp_path / "run", "--json")
    assert planned.code == 0 and json.loads(planned.out)["passes"]
