"""What asks to stop: the step in hand ends and is saved, and the run can be taken up."""

import os
import pty
import signal
import time

import pytest
from trial_runs import lines, recipe, run, same_weights, stream, until

from vlobjectives.runtime.log import Log
from vlobjectives.runtime.signals import Signals, StopRequest, taken


@pytest.fixture(scope="module")
def unstopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("signals")
    path = recipe(folder)
    child = run(path, folder / "run")
    assert child.wait() == 0, child.text
    return path, folder / "run"


@pytest.mark.parametrize(
    ("number", "code", "word"),
    [
        (signal.SIGTERM, 75, "SIGTERM"),
        (signal.SIGINT, 130, "Ctrl-C"),
        pytest.param(signal.SIGHUP, 75, "SIGHUP", marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, 75, "SIGUSR1", marks=pytest.mark.slow),
    ],
)
def test_stopped_saved_and_taken_up(unstopped, tmp_path, number, code, word):
    """Between checkpoints: saved at the very step; the whole is bit-identical to the unstopped run."""
    path, whole = unstopped
    out, often = tmp_path / "run", ("data.workers=1", "run.checkpoint.steps=14")
    child = run(path, out, *often)
    until(lambda: len(lines(out)) >= 3, child)
    child.kill(number)
    assert child.wait() == code, child.text
    done = len(lines(out))
    assert f"stopped by {word} after step {done} of 14; saved" in child.text
    assert f"`vlobj run {out}` goes on" in child.text
    assert [one.name for one in (out / "checkpoints").iterdir()] == [f"step-{done:06d}"]
    assert "stopped by" in (out / "log.txt").read_text(encoding="utf-8")
    again = run(path, out, *often)
    assert again.wait() == 0, again.text
    assert stream(out) == stream(whole)
    same_weights(out, whole)


SLOW = """
import time
from vlobjectives import Evaluation, hookimpl

class Slow(Evaluation):
    def run(self, held):
        print("evaluating", flush=True)
        time.sleep(60)
        return {}

@hookimpl
def vlobj_components():
    return {"evaluation:slow": Slow}
"""


@pytest.mark.parametrize("every", ["run.steps=2", "evaluate.every={steps: 1}"])
def test_an_evaluation_stops_at_once(tmp_path, every):
    """At the end of training, and on the way, where the steps so far are saved first."""
    path, out = recipe(tmp_path, SLOW), tmp_path / "run"
    child = run(path, out, "evaluate.slow={}", "run.checkpoint.steps=14", every)
    until(lambda: "evaluating" in child.text, child)
    begun = time.monotonic()
    child.kill(signal.SIGTERM)
    assert child.wait() == 75, child.text
    assert time.monotonic() - begun < 20
    assert "saved" in child.text
    assert [one.name for one in (out / "checkpoints").iterdir()] == [f"step-{len(lines(out)):06d}"]


def test_before_the_first_step(unstopped, tmp_path):
    """While captions are read; the folder that is there can be gone on with."""
    out = tmp_path / "run"
    child = run(unstopped[0], out)
    until(out.exists, child)
    child.kill(signal.SIGTERM)
    assert child.wait() == 75, child.text
    assert not (out / "checkpoints").exists() or lines(out)


def test_noted_inside_and_raised_outside():
    """Handlers are put back; Ctrl-C twice raises where it is."""
    before = signal.getsignal(signal.SIGTERM)
    with Signals() as signals, signals.later():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)
        assert signals.seen == signal.SIGTERM
        with pytest.raises(StopRequest), signals.at_once():
            raise AssertionError("a signal that came before is not forgotten")
    with Signals() as signals, pytest.raises(StopRequest):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
    with Signals() as signals, signals.later():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_hangup_that_is_ignored_stays_so():
    """That is all that nohup does; SIGTERM is taken all the same."""
    old = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with Signals() as signals, signals.later():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0)
            assert signals.seen is None
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0)
            assert signals.seen == signal.SIGUSR1
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        was = taken(lambda number, frame: None)  # as the launcher of several processes does
        assert signal.SIGHUP not in was and {signal.SIGUSR1, signal.SIGTERM, signal.SIGINT} == set(was)
        for number, handler in was.items():
            signal.signal(number, handler)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def test_a_terminal_that_was_closed_ends_nothing(tmp_path, monkeypatch):
    """What is said goes on into the file; the progress bar too is over in silence."""
    here, there = pty.openpty()
    with os.fdopen(there, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        monkeypatch.setenv("TERM", "xterm")
        log = Log(path=tmp_path / "log.txt")
        with log.progress(10) as bar:
            bar.to(1)
            os.close(here)
            with pytest.raises(OSError):
                os.write(there, b"gone")
            bar.to(2)
            log.say("saved")
        log.say("and ended")
    assert [line.split(maxsplit=2)[2] for line in (tmp_path / "log.txt").read_text(encoding="utf-8").splitlines()] == [
        "saved",
        "and ended",
    ]
