"""Trackers that a recipe names: made for a run, with its hooks and a small `Run`."""

import json
import warnings

import pytest
from small_recipes import changed, plugin, vlobj

from vlobjectives import Run

TRACKER = """
import json
from pydantic import Field
from vlobjectives import Config, PathName, Tracker, TrackerConfig, hookimpl

class Notes(Tracker):
    '''Lines of JSON.'''

    class Config(TrackerConfig):
        file: PathName = Field(description="where they go")
        fails: str = Field("", description="what goes wrong")

    def __init__(self, config):
        super().__init__(config)
        if config.fails == "made":
            raise OSError("no such server")

    def note(self, hook, run, **more):
        seen = dict(folder=str(run.folder), steps=run.steps, start=run.start, rank=run.rank, device=run.device)
        with open(self.config.file, "a", encoding="utf-8") as file:
            file.write(json.dumps({"hook": hook, **seen, **more}) + "\\n")

    @hookimpl
    def vlobj_run_started(self, run):
        self.note("started", run, lr=run.recipe["optim"]["lr"], name=run.name, own=run.recipe["trackers"]["notes"])
        run.log("notes are taken")

    @hookimpl
    def vlobj_step_ended(self, run, step, metrics):
        if self.config.fails == "step":
            raise OSError("the server is gone")
        self.note("step", run, step=step, loss=metrics["loss"])

    @hookimpl
    def vlobj_evaluated(self, run, step, scores):
        self.note("evaluated", run, step=step, scores={key: one.value for key, one in scores.items()})

    @hookimpl
    def vlobj_checkpoint_saved(self, run, folder):
        self.note("saved", run, checkpoint=folder.name)

    @hookimpl
    def vlobj_run_ended(self, run, summary):
        self.note("ended", run, summary=sorted(summary))

@hookimpl
def vlobj_components():
    return {"tracker:notes": Notes}
"""
NAMED = {
    "run: {steps: 4, device: cpu, precision: fp32}": "run: {steps: 2, device: cpu, precision: fp32}\n"
    "plugins: [own.py]\ntrackers:\n  notes: {file: notes.jsonl}"
}


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """Beside its plug-in file, with the working folder elsewhere."""
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)
    plugin(here, TRACKER)
    return changed(here, NAMED)


def notes(recipe):
    lines = (recipe.parent / "notes.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_tracker_sees_a_run_from_its_start_to_its_end(recipe, tmp_path, capsys):
    out = tmp_path / "run"
    assert vlobj(capsys, "run", recipe, "--out", out).code == 0
    seen = notes(recipe)
    assert [one["hook"] for one in seen] == ["started", "step", "step", "saved", "evaluated", "ended"]
    assert all(
        (one["folder"], one["steps"], one["start"], one["rank"], one["device"]) == (str(out), 2, 0, 0, "cpu")
        for one in seen
    )
    assert (seen[0]["lr"], seen[0]["own"]["file"]) == (1e-3, str(recipe.with_name("notes.jsonl")))
    metrics = [json.loads(line) for line in (out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [one["loss"] for one in seen[1:3]] == [one["loss"] for one in metrics]
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert seen[-1]["summary"] == sorted(summary) and seen[-2]["scores"].keys() == summary.keys()
    assert "notes are taken" in (out / "log.txt").read_text(encoding="utf-8")
    named = json.loads((out / "manifest.json").read_text(encoding="utf-8"))["plugins"]
    assert {"kind": "tracker", "name": "own/notes", "package": "own", "version": ""} in named
    # a run may be gone on with beside another tracker
    ended = vlobj(capsys, "run", out, "run.steps=3", f"trackers.notes.file={tmp_path / 'others.jsonl'}")
    assert ended.code == 0, ended.err
    others = (tmp_path / "others.jsonl").read_text(encoding="utf-8").splitlines()
    assert (json.loads(others[0])["start"], json.loads(others[1])["step"]) == (2, 2)


def test_one_that_cannot_be_made_ends_the_command_with_its_place(recipe, tmp_path, capsys):
    ended = vlobj(capsys, "run", recipe, "trackers.notes.fails=made", "--out", tmp_path / "run")
    assert ended.code == 4
    assert "trackers.notes" in ended.err and "no such server" in ended.err and "own.py:" in ended.err


def test_one_that_raises_is_left_out_and_the_run_goes_on(recipe, tmp_path, capsys):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        ended = vlobj(capsys, "run", recipe, "trackers.notes.fails=step", "--out", tmp_path / "run")
    assert ended.code == 0
    assert any("'watch:notes' is switched off" in str(one.message) and "own.py:" in str(one.message) for one in told)
    assert [one["hook"] for one in notes(recipe)] == ["started"]


def test_options_and_names_are_checked(recipe, capsys):
    ended = vlobj(capsys, "check", recipe, "trackers.notes.fail=step")
    assert ended.code == 2 and "did you mean 'fails'" in ended.err + ended.out
    ended = vlobj(capsys, "check", recipe, "trackers={nots: {file: x}}")
    assert ended.code == 2 and "there is no tracker 'nots'" in ended.err + ended.out


def test_a_run_of_a_folder_alone_is_enough_for_a_test(tmp_path, capsys):
    Run(tmp_path).log("a line")
    assert capsys.readouterr().out == "a line\n"
