"""What goes wrong in a step: non-finite losses and gradients, overflow in fp16, memory that runs out."""

import json
import math
import re
import sys

import pytest
from broken_plugins import BROKEN, GREEDY, ROOM
from trial_runs import evaluated, lines, recipe, run, stream, weights

from vlobjectives.system import checkpoint

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a limit on address space")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return recipe(tmp_path_factory.mktemp("numbers"), BROKEN, "broken: {how: not, number: 11, weight: 1}")


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("nan", "broken/value went non-finite"),
        ("inf", "broken/value went non-finite"),
        ("gradient", "the gradient of broken went non-finite"),
    ],
)
def test_stops_before_the_optimiser_moves(path, tmp_path, how, what):
    """Exit 5; the objective and the samples of the micro-batch at fault are named; the last good checkpoint stays."""
    out = tmp_path / "run"
    child = run(path, out, f"objectives.broken.how={how}", "run.checkpoint.steps=1", "data.micro_batch=4")
    assert child.wait() == 5, child.text
    assert what in child.text
    assert "the optimiser has not moved" in child.text
    keys = child.text.split("samples ")[1].splitlines()[0].split(", ")
    assert "train/11" in keys
    assert len(keys) == 4
    assert f"samples: {', '.join(keys)}" in (out / "log.txt").read_text(encoding="utf-8")
    step = len(lines(out))
    assert step < 6
    assert f"step {step}:" in child.text
    found, broken = checkpoint.newest(out / "checkpoints")
    assert (0 if found is None else found.step, broken) == (step, [])
    if found:
        assert all(value.isfinite().all() for value in weights(out).values() if value.is_floating_point())


def test_fp16_steps_and_skips_what_overflows(path, tmp_path):
    """On the CPU too: the scale starts too high, overflowing steps are left out and are not logged as Infinity."""
    out = tmp_path / "run"
    child = run(path, out, "run.precision=fp16", "run.steps=8")
    assert child.wait() == 0, child.text
    assert "precision fp16" in child.text
    assert all(math.isfinite(row["loss"]) for row in lines(out))
    assert "Infinity" not in (out / "metrics.jsonl").read_text(encoding="utf-8")
    assert sum(row["gradient_norm"] is not None for row in lines(out)) >= 4
    assert checkpoint.load_state(checkpoint.newest(out / "checkpoints")[0].folder)["scaler"]["scale"] > 1
    full = run(path, tmp_path / "full", "run.steps=1")
    assert full.wait() == 0, full.text
    assert lines(out)[0]["loss"] == pytest.approx(lines(tmp_path / "full")[0]["loss"], rel=1e-2)


def test_fp16_does_not_skip_for_ever(path, tmp_path):
    """A gradient that no scale makes finite stops the run once the scale is down to 1."""
    child = run(
        path,
        tmp_path / "run",
        "objectives.broken.how=gradient",
        "objectives.broken.number=3",
        "run.precision=fp16",
        "data.samples=8",
        "run.steps=60",
        "run.checkpoint.steps=60",
    )
    assert child.wait() == 5, child.text
    assert "the gradient of broken went non-finite" in child.text


@linux
def test_memory_that_runs_out(tmp_path):
    """Exit 6, with the step, who was live, who holds most by the plan, and the keys to lower."""
    path = recipe(tmp_path, GREEDY, "greedy: {weight: [[2, 0], [3, 1]]}")
    child = run(path, tmp_path / "run", more=ROOM)
    assert child.wait() == 6, child.text
    for said in (
        "step 3: memory ran out with greedy, itc, mlm",
        "most to greedy (8.6 GB), ",
        "data.micro_batch (now 8",
        "plan.checkpoint: [vision, text, joint, words, fusion]",
    ):
        assert said in child.text
    assert len(re.findall(r"\(\d+(?:\.\d)? [kMG]?B\)", child.text)) == 3
    assert checkpoint.newest(tmp_path / "run" / "checkpoints")[0].step == 2
    again = run(path, tmp_path / "run")
    assert again.wait() == 0, "with more memory it goes on: " + again.text


@linux
def test_memory_that_runs_out_in_an_evaluation(tmp_path):
    """Of a run, after its steps were saved, and of `vlobj eval`."""
    path, out = recipe(tmp_path, GREEDY), tmp_path / "run"
    child = run(path, out, "run.steps=2", "evaluate.eager={}", more=ROOM)
    assert child.wait() == 6, child.text
    again = evaluated(out, more=ROOM)
    assert again.wait() == 6, again.text
    for said in ("memory ran out in eager on test: ", "of a step the plan gives most to ", "evaluate.NAME=false"):
        assert said in child.text and said in again.text
    without = evaluated(out, "evaluate.eager=false", more=ROOM)
    assert without.wait() == 0, without.text


@pytest.mark.slow
def test_compiled_parts_compute_the_same(path, tmp_path):
    plain, compiled = tmp_path / "plain", tmp_path / "compiled"
    still = (
        "run.steps=3",
        "model.text.config.hidden_dropout_prob=0",
        "model.fusion.dropout=0",
        "model.text.config.attention_probs_dropout_prob=0",
    )
    for out, kind in ((plain, "none"), (compiled, "parts")):
        child = run(path, out, *still, f"run.compile={kind}", env={"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")})
        assert child.wait(600) == 0, child.text
    for one, other in zip(stream(plain), stream(compiled), strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-3)
    assert json.loads((compiled / "summary.json").read_text(encoding="utf-8"))
