"""A run in a process of its own: what it is told, and what is told of its end."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from vlobjectives.runtime.log import Log
from vlobjectives.runtime.signals import Signals
from vlobjectives.sweeping import train_row
from vlobjectives.sweeping.prepare import SweepRun
from vlobjectives.sweeping.train_row import train


def outcome(tmp_path, signals: Signals) -> train_row.Outcome:
    run = SweepRun("base", 3, tmp_path / "base-seed3", "new")
    return train(run, tmp_path / "none.yaml", 4, ["--no-plugins"], 2, signals, Log(first=False))


@pytest.fixture
def child(monkeypatch, tmp_path):
    """Lets some Python code stand in for the run; gives the processes that were started."""
    found = []

    def stand_in(code: str) -> list[subprocess.Popen]:
        def started(command, said):
            assert command == [
                "--no-plugins",
                "run",
                str(tmp_path / "none.yaml"),
                "seed=3",
                "--out",
                str(tmp_path / "base-seed3"),
                "--resume",
                "--nproc",
                "2",
            ]
            found.append(subprocess.Popen([sys.executable, "-c", code], stderr=said, start_new_session=True))
            return found[-1]

        monkeypatch.setattr(train_row, "started", started)
        return found

    return stand_in


@pytest.fixture
def signals():
    with Signals() as signals:
        yield signals


def test_the_command_is_vlobj_run(tmp_path, signals):
    """A recipe that is not there: the real command, refused at once."""
    found = outcome(tmp_path, signals)
    assert found.code == 2 and found.why == f"there is no file {tmp_path / 'none.yaml'}" and not found.stopped
    assert "hint: correct the path" in found.said


def test_a_killed_run_says_so(tmp_path, child, signals):
    child("import os; os.kill(os.getpid(), 9)")
    found = outcome(tmp_path, signals)
    assert found.code == 6 and found.why.startswith("ended by SIGKILL; ")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("a warning\nwhat is wrong\n    hint: this\n", "what is wrong"),
        ("one\ntwo\n", "two"),
        ("", "it ended without a word"),
        ("    hint: nothing before\n", "hint: nothing before"),
    ],
)
def test_reasons(tmp_path, child, signals, said, why):
    child(f"import sys; sys.stderr.write({said!r}); sys.exit(3)")
    found = outcome(tmp_path, signals)
    assert (found.code, found.why, found.said) == (3, why, said)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_is_passed_on_once(tmp_path, child, signals, number, code):
    child(
        "import signal, sys, time\nfor n, c in ((2, 130), (15, 75)):\n"
        "    signal.signal(n, lambda *_, c=c: (print('told', file=sys.stderr), time.sleep(0.3), sys.exit(c)))\n"
        "print('ready', file=sys.stderr, flush=True)\ntime.sleep(60)"
    )
    threading.Timer(1.0, os.kill, (os.getpid(), number)).start()
    found = outcome(tmp_path, signals)
    assert found.code == code and found.stopped and found.said.count("told") == 1 and signals.seen == number


def test_a_second_ctrl_c_kills(tmp_path, child, signals):
    processes = child("import signal, time; signal.signal(2, signal.SIG_IGN); time.sleep(60)")
    for seconds in (1.0, 1.5):
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        outcome(tmp_path, signals)
    assert processes[0].wait(10) == -signal.SIGKILL
