"""Every check of trackers finds the tracker that fails it, and says what and where; a run outlives what raises."""

import gc
import json
from dataclasses import replace

import pytest
import torch
from pydantic import Field

from vlobjectives import Tracker, TrackerConfig, hookimpl
from vlobjectives.system.system import System
from vlobjectives.testing import CheckFailed, checks_of


class Lines(Tracker):
    """Writes the loss into a file of its own beside the run's. What fails a check overrides or adds one hook."""

    class Config(TrackerConfig):
        every: int = Field(1, gt=0)

    @hookimpl
    def vlobj_run_started(self, run):
        self.path = run.folder / "lines.jsonl"
        kept = self.path.read_text(encoding="utf-8").splitlines(True)[: run.start] if run.start else []
        self.path.write_text("".join(kept), encoding="utf-8")

    @hookimpl
    def vlobj_step_ended(self, run, step, metrics):
        if step % self.config.every == 0:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, "loss": metrics["loss"]}) + "\n")


class Silent(Tracker):
    pass


class Misspelt(Lines):
    @hookimpl
    def vlobj_steps_ended(self, step):
        pass


class Unmarked(Tracker):
    def vlobj_step_ended(self, step):
        pass


class AsksForMore(Lines):
    @hookimpl
    def vlobj_run_ended(self, run, model):
        pass


class Shares(Lines):
    @hookimpl
    def vlobj_evaluated(self, scores):
        for name, score in scores.items():
            scores[name] = replace(score, value=100 * score.value)


class Pops(Lines):
    @hookimpl
    def vlobj_step_ended(self, metrics):
        metrics.pop("loss")


class Raises(Lines):
    @hookimpl
    def vlobj_evaluated(self, scores):
        self.best = scores["retrieval/val/r1"].value


class CutsTheRecord(Lines):
    @hookimpl
    def vlobj_run_ended(self, run):
        path = run.folder / "metrics.jsonl"
        path.write_text(path.read_text(encoding="utf-8").splitlines(True)[0], encoding="utf-8")


class Reaches(Lines):
    """Looks for the model in memory and changes it."""

    @hookimpl
    def vlobj_checkpoint_saved(self, run):
        for system in (each for each in gc.get_objects() if isinstance(each, System)):
            with torch.no_grad():
                next(system.parameters()).mul_(1.5)


class New(Lines):
    @hookimpl
    def vlobj_run_started(self, run):
        self.path = run.folder / "lines.jsonl"
        self.path.touch(exist_ok=False)


FAULTS = [
    ("hooks_are_known", Silent, "it has no hook, and watches nothing"),
    ("hooks_are_known", Misspelt, "there is no hook `vlobj_steps_ended` of a run"),
    ("hooks_are_known", Unmarked, "its vlobj_step_ended is not marked with vlobjectives.hookimpl"),
    ("hooks_are_known", AsksForMore, "'asks_for_more' cannot watch runs: .*model"),
    ("given_read_only", Shares, "a hook writes into what it is given: scores.retrieval/val/r1.value is 0.5 and 50"),
    ("given_read_only", Pops, "a hook writes into what it is given: metrics has"),
    (
        "never_switched_off",
        Raises,
        "plug-in 'watch:raises' is switched off for this run: vlobj_evaluated raised Key",
    ),
    ("runs_alike", CutsTheRecord, "a run that it watches is another one: metrics has 3 and 1 entries"),
    ("runs_alike", Reaches, "a run that it watches is another one: metrics"),
    (
        "goes_on",
        New,
        "in a run that is resumed: .*'watch:new' is switched off.*FileExistsError",
    ),
]


@pytest.mark.parametrize(("name", "cls", "says"), FAULTS)
def test_faults(name, cls, says):
    check = next(check for check in checks_of(cls) if check.name == name)
    with pytest.raises(CheckFailed, match=rf"(?s)trackers.\w+ fails the check '{name}': .*{says}") as failure:
        check()
    assert "test_tracker_checks.py:" in str(failure.value) and "    hint:  " in str(failure.value)


def test_a_sound_tracker_passes():
    for check in checks_of(Lines):
        check()


def test_a_run_outlives_a_hook_that_raises():
    known = {"never_switched_off": "its second hook raises", "goes_on": "and so does that of a resumed run"}
    for check in checks_of(Raises, expected=known):
        check()
