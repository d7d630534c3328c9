"""Several processes compute what one computes, and end together."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from broken_plugins import BAD, BROKEN, GREEDY, ROOM
from process_runs import STILL, compare
from safetensors.torch import load_file
from trial_runs import evaluated, forked, lines, processes, recipe, run, until

from vlobjectives.errors import RecipeError, ResourceError
from vlobjectives.runtime.launch import launch
from vlobjectives.system import checkpoint

linux = pytest.mark.skipif(
    not os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"),
    reason="needs /proc/PID/task/TID/children to find the processes",
)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process without dropout; matching comes in at step 5."""
    folder = tmp_path_factory.mktemp("alone")
    path = recipe(folder)
    child = run(path, folder / "run", *STILL)
    assert child.wait() == 0, child.text
    return path, folder / "run"


@pytest.mark.parametrize("micro", [4, 2])
def test_two_processes_are_one(alone, tmp_path, port, micro):
    """Whole halves, and in micro-batches against one process's own in the same groups of rows."""
    path, whole = alone
    more = () if micro == 4 else ("data.micro_batch=2", "pairings.others.group=2")
    if more:
        whole = tmp_path / "whole"
        # one process with micro-batches of 4 sees the rows that two see together in micro-batches of 2
        single = run(path, whole, *STILL, "data.micro_batch=4", "pairings.others.group=2")
        assert single.wait() == 0, single.text
    children = processes(path, tmp_path / "run", port, 2, *STILL, *more)
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    assert "2 processes" in children[0].text
    own = [line for line in children[1].text.splitlines() if not line.startswith("[Gloo]")]  # torch 2.9 says how it met
    assert not own, own
    compare(tmp_path / "run", whole)
    one, two = (read(out / "summary.json") for out in (tmp_path / "run", whole))
    assert {name: score["value"] for name, score in one.items()} == pytest.approx(
        {name: score["value"] for name, score in two.items()}, rel=1e-5
    )
    if more:  # `vlobj eval` compares as many rows as both processes did together
        again = evaluated(tmp_path / "run")
        assert again.wait() == 0, again.text
        three = read(max((tmp_path / "run" / "eval").glob("step-000008-*.json")))
        assert {name: score["value"] for name, score in three.items()} == {
            name: score["value"] for name, score in one.items()
        }
    assert [sorted(row["terms"]) for row in lines(tmp_path / "run")][4:] == [
        ["itc/contrast", "mlm/words"],
        ["itc/contrast", "itm/accuracy", "itm/match", "mlm/words"],
        *[["itc/contrast", "itm/accuracy", "itm/match"]] * 2,
    ]
    before, after = (
        load_file(tmp_path / "run" / "checkpoints" / step / checkpoint.MODEL) for step in ("step-000006", "step-000008")
    )
    own = [name for name in before if name.startswith("model.words.")]
    assert own
    assert all(torch.equal(before[name], after[name]) for name in own), "what nobody asks for does not decay"
    assert not any(torch.equal(before[name], after[name]) for name in before if name.startswith("objectives.itm"))


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_goes_on_with_another_number_of_processes(alone, tmp_path, port):
    """Two begin, one ends; the pairing's group was written out."""
    path, out = alone[0], tmp_path / "run"
    for child in processes(
        path, out, port, 2, *STILL, "run.steps=5", "run.checkpoint.steps=5", "optim.schedule.then=constant"
    ):
        assert child.wait() == 0, child.text
    rest = run(out / "recipe.yaml", out, "run.steps=8")
    assert rest.wait() == 0, rest.text
    assert [row["step"] for row in lines(out)] == list(range(8))
    assert [start["processes"] for start in read(out / "manifest.json")["starts"]] == [2, 1]
    uneven = processes(path, tmp_path / "uneven", port, 3, *STILL)
    assert [child.wait() for child in uneven] == [2, 2, 2]
    assert "does not divide into 3 processes" in uneven[0].text


def test_what_one_process_meets_stops_all(tmp_path, port):
    """Bad samples of both are counted together: exit 3 on both; a sample that breaks a loss: exit 5, named on both."""
    path = recipe(tmp_path, BAD)
    children = processes(path, tmp_path / "bad", port, 2, "data.type=torn", "data.max_bad=0.1")
    assert [child.wait(60) for child in children] == [3, 3], children[0].text + children[1].text
    assert "of 48 samples cannot be used" in children[1].text
    (tmp_path / "numbers").mkdir()
    path = recipe(tmp_path / "numbers", BROKEN, "broken: {how: gradient, number: 11}")
    children = processes(path, tmp_path / "broken", port, 2)
    assert [child.wait(60) for child in children] == [5, 5], children[0].text + children[1].text
    for child in children:
        assert "the gradient of broken went non-finite" in child.text
        assert "train/11" in child.text


def test_a_plug_in_that_fails_on_one_is_named_and_ends_both(tmp_path, port):
    first = '            if self.config.how == "gradient":'
    fails = BROKEN.replace(
        first, f'            if self.config.how == "raise":\n                raise ValueError("boom")\n{first}'
    )
    path = recipe(tmp_path, fails, "broken: {how: raise, number: 11}")
    children = processes(path, tmp_path / "run", port, 2, "run.steps=7", *STILL[:-1])
    codes = [child.wait(60) for child in children]
    assert sorted(codes) == [4, 6], children[0].text + children[1].text
    line = next(number for number, text in enumerate(fails.splitlines(), 1) if "boom" in text)
    said = f"{tmp_path / 'mine.py'}:{line}  objectives.broken: the loss failed: ValueError: boom"
    assert said in children[codes.index(4)].text
    assert "lost another process of this run" in children[codes.index(6)].text


@linux
def test_memory_that_runs_out_on_one(tmp_path, port):
    """It says who holds what without waiting for the other, which ends too."""
    path, out = recipe(tmp_path, GREEDY, "greedy: {}"), tmp_path / "run"
    rich, poor = processes(path, out, port, 2, more=(None, ROOM))
    assert poor.wait(60) == 6, poor.text
    assert "step 0: memory ran out" in poor.text and "gives most to greedy (8.6 GB)" in poor.text
    assert rich.wait(60) == 6, rich.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_one_stops_all_saved(alone, tmp_path, port, number):
    """As a scheduler may send it; the number of the signal decides the exit code of the process that got it."""
    out = tmp_path / "run"
    children = processes(alone[0], out, port, 2, *STILL, "run.steps=3000", "run.checkpoint.steps=3000")
    until(lambda: lines(out), children[0])
    children[1].kill(number)
    assert children[1].wait(60) == 75, children[1].text
    assert children[0].wait(60) == 75, children[0].text
    assert "saved" in children[0].text
    assert [one.name for one in (out / "checkpoints").iterdir()] == [f"step-{len(lines(out)):06d}"]


def launched(path, out, *overrides):
    """`vlobj run --nproc 2` as a process that can be signalled."""

    def work():
        try:
            return launch(2, ["run", str(path), *overrides, "--out", str(out), "--resume"])
        except ResourceError as error:
            print(error)
            return error.code

    return forked(out.with_name(f"{out.name}.txt"), work)


def ranks(launcher):
    """Process ids of the processes that a launcher started, by rank."""
    found = {}
    with open(f"/proc/{launcher.pid}/task/{launcher.pid}/children", encoding="utf-8") as file:
        for pid in map(int, file.read().split()):
            with open(f"/proc/{pid}/environ", "rb") as env:
                found |= {int(entry[5:]): pid for entry in env.read().split(b"\0") if entry.startswith(b"RANK=")}
    return found


def gone(pid):
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z"


@linux
@pytest.mark.slow
@pytest.mark.parametrize("how", ["one dies", "SIGTERM", "launcher dies"])
def test_launched_processes_end_together(alone, tmp_path, how):
    """Started by the launcher: one killed stops the other within a minute, exit 6; SIGTERM reaches both, exit 75; the
    launcher killed leaves nobody behind."""
    out = tmp_path / "run"
    launcher = launched(alone[0], out, *STILL, "run.steps=5000", "run.checkpoint.steps=5000")
    until(lambda: lines(out), launcher, 120)
    pids = ranks(launcher)
    assert pids.keys() == {0, 1}
    begun = time.monotonic()
    if how == "one dies":
        os.kill(pids[1], signal.SIGKILL)
        assert launcher.wait(60) == 6, launcher.text
        assert "process 1 of 2 was ended by SIGKILL" in launcher.text
    elif how == "SIGTERM":
        launcher.kill(signal.SIGTERM)
        assert launcher.wait(60) == 75, launcher.text
        assert launcher.text.count("stopped by SIGTERM after step") == 1
        assert list((out / "checkpoints").glob("step-*"))
    else:
        launcher.kill()
        launcher.wait()
        while not all(map(gone, pids.values())) and time.monotonic() < begun + 10:
            time.sleep(0.05)
    assert all(map(gone, pids.values()))
    assert time.monotonic() - begun < 60


def test_a_launch_that_cannot_be(monkeypatch):
    with pytest.raises(RecipeError, match="--nproc 0"):
        launch(0, [])
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RecipeError, match="under torchrun"):
        launch(2, [])


def test_the_exit_code_of_the_error(tmp_path):
    """A usage error of the processes themselves, said once."""
    launcher = launched(tmp_path / "missing.yaml", tmp_path / "run")
    assert launcher.wait(60) == 2, launcher.text
    assert launcher.text.count("there is no file") == 1


TORCHRUN = [
    sys.executable,
    "-m",
    "torch.distributed.run",
    "--standalone",
    "--nproc-per-node",
    "2",
    "-m",
    "vlobjectives",
    "run",
]


@pytest.mark.slow
def test_under_torchrun(alone, tmp_path):
    """The same metrics."""
    command = [*TORCHRUN, str(alone[0]), *STILL, "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=300)
    assert done.returncode == 0, done.stderr
    compare(tmp_path / "run", alone[1])


def below(pid):
    """Process ids of all that a process started, and they in turn."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        own = [int(word) for word in file.read().split()]
    return own + [deeper for child in own for deeper in below(child)]


@linux
@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGTERM", "one dies"])
def test_what_ends_a_run_under_torchrun(alone, tmp_path, how):
    """SIGTERM to the launcher: each process saves at the step and says so; the run is taken up. One is killed: the
    other says what ended it and how to go on, and nobody is left. Torchrun ends with 1 itself, and its SIGTERM races
    with the broken connection to the other: whichever comes first is what the other names."""
    out, said = tmp_path / "run", tmp_path / "said.txt"
    with said.open("w", encoding="utf-8") as file:
        launcher = subprocess.Popen(
            [
                *TORCHRUN,
                str(alone[0]),
                *STILL,
                "run.steps=5000",
                "run.checkpoint.steps=5000",
                "optim.schedule.then=constant",
                "--out",
                str(out),
            ],
            stdout=file,
            stderr=file,
        )
    try:
        end = time.monotonic() + 200
        while not lines(out):
            assert launcher.poll() is None and time.monotonic() < end, said.read_text(encoding="utf-8")
            time.sleep(0.05)
        pids = [
            pid for pid in below(launcher.pid) if f"--out\0{out}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert len(pids) == 2
        if how == "SIGTERM":
            launcher.send_signal(signal.SIGTERM)
        else:
            os.kill(pids[1], signal.SIGKILL)
        assert launcher.wait(100) != 0
    finally:
        launcher.kill()
    text = said.read_text(encoding="utf-8")
    assert all(map(gone, pids))
    if how == "one dies":
        assert "lost another process of this run" in text or "stopped by SIGTERM after step" in text, text
        assert f"`vlobj run {out}` goes on" in text, text
        return
    done = len(lines(out))
    assert text.count(f"stopped by SIGTERM after step {done} of 5000; saved") == 2, text
    assert [one.name for one in (out / "checkpoints").iterdir()] == [f"step-{done:06d}"]
    rest = run(out / "recipe.yaml", out, f"run.steps={done + 2}")
    assert rest.wait() == 0, rest.text
    assert [row["step"] for row in lines(out)] == list(range(done + 2))
