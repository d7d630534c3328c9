"""metrics.jsonl: what a step writes, once."""

import math

import pytest
import torch
from safetensors.torch import load_file
from torch.utils._pytree import tree_leaves
from trial_runs import lines, recipe, run

from vlobjectives.system import checkpoint


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("metrics")
    child = run(
        recipe(folder),
        folder / "run",
        "run.steps=8",
        "objectives.mlm.weight=[[0, 0.5], [4, 1.5]]",
        "optim.schedule={warmup: 4, then: constant}",
    )
    assert child.wait() == 0, child.text
    return lines(folder / "run")


def test_each_step_once(rows):
    assert [row["step"] for row in rows] == list(range(8))


def test_value_weight_weighted_and_chance_of_every_live_term(rows):
    """mlm's weight climbs from 0.5 to 1.5; itm comes at step 5 and stands nowhere before."""
    for row in rows:
        terms = row["terms"]
        assert ("itm/match" in terms) == (row["step"] >= 5)
        assert terms["mlm/words"]["weight"] == pytest.approx(0.5 + min(row["step"], 4) / 4)
        for term in terms.values():
            assert term["weighted"] == pytest.approx(term["weight"] * term["value"])
        assert row["loss"] == pytest.approx(sum(term["weighted"] for term in terms.values()))
        assert terms["itc/contrast"]["chance"] == pytest.approx(math.log(8))
        assert terms["itc/contrast"]["count"] == 8
        assert 0 < terms["mlm/words"]["chance"] < math.log(300)
    assert rows[-1]["terms"]["itm/accuracy"]["weight"] == 0


def test_rate_norm_speed_waiting_and_memory(rows):
    assert [row["rate"] for row in rows] == pytest.approx([2.5e-4, 5e-4, 7.5e-4, *[1e-3] * 5])
    for row in rows:
        assert row["gradient_norm"] > 0
        assert row["samples_per_second"] == pytest.approx(8 / row["seconds"])
        assert 0 < row["waiting"] < 1
        assert row["memory"] > 50e6


def test_a_step_without_an_objective(tmp_path):
    """It is logged and counted, and moves nothing: no weight, no average of the optimiser; samples go by."""
    path, out = recipe(tmp_path), tmp_path / "run"
    idle = [f"objectives.{name}.weight=[[2, 1], [3, 0], [5, 0], [6, 1]]" for name in ("itc", "mlm", "itm")]
    child = run(path, out, *idle, "run.steps=8", "run.checkpoint={steps: 1, keep: 8}", "optim.schedule.then=constant")
    assert child.wait() == 0, child.text
    rows = lines(out)
    assert [bool(row["terms"]) for row in rows] == [True] * 3 + [False] * 3 + [True] * 2
    assert all((row["loss"], row["gradient_norm"]) == (0, 0) for row in rows[3:6])
    saved = [checkpoint.load_state(out / "checkpoints" / f"step-{step:06d}")["optimiser"] for step in (3, 6, 7)]
    models = [load_file(out / "checkpoints" / f"step-{step:06d}" / checkpoint.MODEL) for step in (3, 6, 7)]
    same = [all(torch.equal(value, other[name]) for name, value in models[0].items()) for other in models[1:]]
    assert same == [True, False]
    averages = [[leaf for leaf in tree_leaves(state) if isinstance(leaf, torch.Tensor)] for state in saved]
    assert averages[0]
    same = [all(map(torch.equal, averages[0], other)) for other in averages[1:]]
    assert same == [True, False]
