"""An evaluation that fails costs neither the steps before it nor the scores of the others, and is named."""

import json
import socket

import pytest
from small_recipes import changed, line_of, plugin, vlobj
from trial_runs import processes, recipe

from vlobjectives.cli import main
from vlobjectives.system import checkpoint

BROKEN = """
    import sys

    import torch
    from vlobjectives import Evaluation, EvaluationConfig, hookimpl

    def helper():
        return torch.zeros(2) @ torch.zeros(3)

    class Broken(Evaluation):
        class Config(EvaluationConfig):
            how: str

        def run(self, held):
            held.system.train()
            if self.config.how == "zero":
                return {"x": 1 / 0}  # zero
            if self.config.how == "torch":
                return helper()  # torch
            if self.config.how == "exit":
                sys.exit(7)  # exit
            return {"x": torch.tensor(1.0)}  # plain

    @hookimpl
    def vlobj_components():
        return {"evaluation:broken": Broken}
    """
HOWS = {
    "zero": "ZeroDivisionError: division by zero",
    "exit": "SystemExit: 7",
    "torch": "RuntimeError: inconsistent tensor size",
    "plain": "TypeError: an evaluation gives a Score",
}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run of two steps whose evaluations fail on the way and at its end, but for two; how it ended."""
    folder = tmp_path_factory.mktemp("failing")
    plugin(folder, BROKEN)
    path = changed(
        folder,
        {
            "# Small: few objectives.": "plugins: [own.py]",
            "evaluate: {": "evaluate: {losses: true, "
            + "".join(f"{how}: {{type: broken, how: {how}}}, " for how in HOWS),
            "steps: 4": "steps: 3",
        },
    )
    code = main(
        [
            "run",
            str(path),
            "--out",
            str(folder / "run"),
            "evaluate.every={steps: 1}",
            "run.checkpoint.steps=9",
            "run.checkpoint.keep=9",
        ]
    )
    return folder, code


def test_the_run_goes_on_and_writes_what_there_is(ran):
    folder, code = ran
    run = folder / "run"
    assert code == 4
    assert [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()] == [
        0,
        1,
        2,
    ]
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert {name.split("/")[0] for name in summary} == {"retrieval", "losses"}
    failed = json.loads((run / "failed.json").read_text(encoding="utf-8"))
    assert failed.keys() == {f"{how} on test" for how in HOWS}
    assert json.loads((run / "eval/step-000003.json").read_text(encoding="utf-8")) == summary | {"failed": failed}
    on_the_way = json.loads((run / "eval/step-000001.json").read_text(encoding="utf-8"))
    assert on_the_way["failed"].keys() == {f"{how} on val" for how in HOWS}
    assert any(name.startswith("retrieval/val/") for name in on_the_way)


def test_steps_are_saved_before_an_evaluation(ran):
    assert [path.name for path in sorted((ran[0] / "run/checkpoints").iterdir())] == [
        "step-000001",
        "step-000002",
        "step-000003",
    ]
    assert checkpoint.newest(ran[0] / "run/checkpoints")[0].step == 3


def test_each_is_named_with_its_place(ran, capsys):
    """Also one that failed in torch: the line is the plug-in's own. `vlobj eval` says so too."""
    folder = ran[0]
    ended = vlobj(capsys, "eval", folder / "run", "--json")
    assert ended.code == 4
    for how, reason in HOWS.items():
        line = line_of(folder / "own.py", "torch.zeros(2)" if how == "torch" else f"# {how}")
        place = "" if how == "plain" else f"{folder / 'run/plugins/0/own.py'}:{line}  "
        assert f"{place}{how} on test failed: {reason}" in ended.err
        assert f"evaluate.{how}=false" in ended.err
    assert "a bug" not in ended.err and "Traceback" not in ended.err
    found = json.loads(ended.out)
    assert found["failed"].keys() == {f"{how} on test" for how in HOWS}
    assert any(name.startswith("losses/test/") for name in found)


def test_without_them_the_run_is_whole(ran, capsys):
    run = ran[0] / "run"
    again = vlobj(capsys, "run", run)
    assert again.code == 4 and "zero on test failed" in again.err and "retrieval" in again.out
    whole = vlobj(capsys, "run", run, *(f"evaluate.{how}=false" for how in HOWS))
    assert (whole.code, whole.err) == (0, "")
    assert not (run / "failed.json").exists()


FAILS = """
from vlobjectives import Evaluation, hookimpl

class Fails(Evaluation):
    def run(self, held):
        return {"x": 1 / 0}

@hookimpl
def vlobj_components():
    return {"evaluation:fails": Fails}
"""


def test_it_ends_no_process_of_several(tmp_path):
    """On the way and at the end: the first process says whose fault it was (4), the other has done its part."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path, out = recipe(tmp_path, FAILS), tmp_path / "run"
    children = processes(path, out, port, 2, "run.steps=2", "evaluate.fails={}", "evaluate.every={steps: 1}")
    assert [child.wait(60) for child in children] == [4, 0], children[0].text + children[1].text
    assert "fails on test failed: ZeroDivisionError" in children[0].text and "mine.py:6" in children[0].text
    assert "losses/test/itc/contrast" in json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert sorted(one.name for one in (out / "checkpoints").iterdir()) == ["step-000001", "step-000002"]
