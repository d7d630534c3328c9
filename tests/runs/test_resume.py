"""A run that is killed and taken up again is the run that was never stopped."""

import json
import platform
import random
import shutil
import time

import pytest
from trial_runs import lines, recipe, run, same_weights, stream, until, weights

from vlobjectives.system import checkpoint

ACCUMULATED = ("data.micro_batch=4",)


def summary(out):
    return json.loads((out / "summary.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory):
    """A whole run in micro-batches, and its recipe; nobody changes it."""
    folder = tmp_path_factory.mktemp("unstopped")
    path, out = recipe(folder), folder / "run"
    child = run(path, out, *ACCUMULATED)
    assert child.wait() == 0, child.text
    assert [row["step"] for row in lines(out)] == list(range(14))
    return path, out


@pytest.mark.parametrize(("workers", "seed"), [pytest.param(0, 1, marks=pytest.mark.slow), (2, 2)])
def test_killed_twice_is_bit_identical(unstopped, tmp_path, workers, seed):
    """kill -9 at the epoch's edge (6 steps) give or take a random moment, then at a random later one."""
    path, whole = unstopped
    dice, out = random.Random(seed), tmp_path / "run"
    overrides = (*ACCUMULATED, f"data.workers={workers}")
    for reached in (6, dice.randrange(8, 13)):
        child = run(path, out, *overrides)
        until(lambda reached=reached: len(lines(out)) >= reached, child)
        time.sleep(dice.uniform(0, 0.06))
        child.kill()
        assert child.wait() == -9, child.text
    child = run(path, out, *overrides)
    assert child.wait() == 0, child.text
    assert stream(out) == stream(whole)
    same_weights(out, whole)
    assert summary(out) == summary(whole)
    starts = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["starts"]
    assert len(starts) == 3
    assert all(start["after_step"] % 2 == 0 for start in starts)
    assert 4 <= starts[1]["after_step"] <= starts[2]["after_step"] < 14
    assert (out / "log.txt").read_text(encoding="utf-8").count("going on after step") == 2


@pytest.fixture
def copied(unstopped, tmp_path):
    """A copy of the whole run that a test may damage."""
    shutil.copytree(unstopped[1], tmp_path / "run")
    return unstopped[0], tmp_path / "run"


def test_a_damaged_checkpoint_is_passed_over(unstopped, copied):
    """A flipped bit: the one before is taken and trained from; the damaged one does not count among those kept."""
    path, out = copied
    model = out / "checkpoints" / "step-000014" / checkpoint.MODEL
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(data)
    child = run(path, out, *ACCUMULATED)
    assert child.wait() == 0, child.text
    assert "step-000014 is damaged" in child.text
    assert "going on after step 12" in child.text
    assert stream(out) == stream(unstopped[1])
    same_weights(out, unstopped[1])
    assert {path.name for path in (out / "checkpoints").iterdir()} == {
        "step-000012",
        "step-000014",
        "damaged-step-000014",
    }


def test_a_complete_run_is_only_evaluated(copied, unstopped):
    path, out = copied
    (out / "summary.json").unlink()
    before = (out / "metrics.jsonl").read_bytes()
    child = run(path, out, *ACCUMULATED)
    assert child.wait() == 0, child.text
    assert (out / "metrics.jsonl").read_bytes() == before
    assert summary(out) == summary(unstopped[1])
    assert "losses" in child.text and "itc/contrast" in child.text


def test_changes_are_listed_and_refused(copied):
    """Each difference with its old and new value; nothing but a line in the log is written."""
    path, out = copied
    field = out / "fields" / "caption.json"
    field.write_text(field.read_text(encoding="utf-8") + " ", encoding="utf-8")
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    manifest["plugins"][0] |= {"package": "another", "version": "0.0.1"}
    manifest["data"] = "another"
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    rows = stream(out)
    child = run(path, out, *ACCUMULATED, "optim.lr=2e-3", "objectives.mlm.weight=0.5", "run.steps=16")
    assert child.wait() == 2, child.text
    for said in (
        "optim.lr  was 0.001 in this run and is 0.002 now",
        "objectives.mlm.weight  was 1.0",
        'manifest.json  data  was "another"',
        "fields.caption  was",
        "another 0.0.1",
        "--accept-changes",
    ):
        assert said in child.text
    assert "run.steps" not in child.text
    assert json.loads((out / "manifest.json").read_text(encoding="utf-8")) == manifest
    assert stream(out) == rows


def test_a_run_of_an_earlier_release_goes_on(copied):
    """The version of the library's own plug-ins is noted and no reason to refuse."""
    path, out = copied
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    for plugin in manifest["plugins"]:
        plugin["version"] = "0.1.0"
    (out / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    child = run(path, out, *ACCUMULATED)
    assert child.wait() == 0, child.text
    changes = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["changes"]
    assert {one["what"] for one in changes} == {f"plugins.{p['kind']}:{p['name']}" for p in manifest["plugins"]}
    assert all(one["old"] == "vlobjectives 0.1.0" for one in changes)


def test_accepted_changes_are_noted_and_used(copied):
    path, out = copied
    child = run(
        path,
        out,
        *ACCUMULATED,
        "optim.lr=2e-3",
        "optim.weight_decay=0.5",
        "optim.schedule.then=constant",
        "run.steps=16",
        "run.checkpoint.keep=1",
        accept=True,
    )
    assert child.wait() == 0, child.text
    changes = {one["what"]: one for one in json.loads((out / "manifest.json").read_text(encoding="utf-8"))["changes"]}
    assert changes.keys() == {
        "optim.lr",
        "optim.weight_decay",
        "optim.schedule.then",
        "run.steps",
        "run.checkpoint.keep",
    }
    assert (changes["optim.lr"]["old"], changes["optim.lr"]["new"], changes["optim.lr"]["after_step"]) == (
        0.001,
        0.002,
        14,
    )
    assert [row["step"] for row in lines(out)] == list(range(16))
    assert lines(out)[-1]["rate"] == 2e-3
    assert [folder.name for folder in (out / "checkpoints").iterdir()] == ["step-000016"]
    again = run(out / "recipe.yaml", out)
    assert again.wait() == 0, again.text
    fewer = run(out / "recipe.yaml", out, "run.steps=10")
    assert fewer.wait() == 2
    assert "16 steps behind it" in fewer.text


def test_a_run_is_held_by_one_process(unstopped, tmp_path):
    """A second process is refused while the first runs, and it goes on where kill -9 left the first at once.

    Killed before its first checkpoint: from the beginning, each step once. Its loader workers do not hold the run.
    """
    path, out = unstopped[0], tmp_path / "run"
    overrides = (*ACCUMULATED, "data.workers=1", "run.checkpoint.steps=7", "run.steps=8")
    child = run(path, out, *overrides)
    until(lambda: lines(out), child)
    second = run(path, out, *overrides)
    assert second.wait() == 2
    assert f"in use by another process ({platform.node()}, process {child.pid})" in second.text
    if len(lines(out)) < 7:
        child.kill()
    child.wait()
    third = run(path, out, *overrides)
    assert third.wait() == 0, third.text
    assert [row["step"] for row in lines(out)] == list(range(8))
    fresh = run(path, tmp_path / "fresh", "run.steps=1")
    assert fresh.wait() == 0
    assert weights(tmp_path / "fresh")
