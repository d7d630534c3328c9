"""A plan as a person and a program read it."""

import json
import os
import resource
import socket
from io import StringIO
from pathlib import Path

import pytest
from planned import THIN, costs
from rich.console import Console
from trial_runs import forked

from vlobjectives.cli import main
from vlobjectives.costs import table


def printed(found, width: int = 120) -> str:
    console = Console(width=width, file=StringIO())
    console.print(table.renderable(found))
    return console.file.getvalue()


@pytest.fixture(scope="module")
def small():
    """All five objectives at every step, 16 of 64 rows at a time."""
    live = [f"objectives.{name}.weight=1" for name in ("itc", "itm", "mlm", "mgsc", "mltc")]
    return costs("glscl", *THIN, *live, "data.micro_batch=16")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """What `vlobj plan glscl_base --json` prints, in an empty folder, without any connection, in 2 GB."""
    folder = tmp_path_factory.mktemp("published")
    here = folder / "here"
    here.mkdir()
    said, needed = folder / "said", folder / "needed"

    def most() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def work() -> int:
        os.chdir(here)
        socket.socket.connect = socket.getaddrinfo = refuse
        before = most()
        code = main(["plan", "glscl_base", "--json"])
        needed.write_text(str(most() - before), encoding="utf-8")
        return code

    assert forked(said, work).wait(300) == 0, said.read_text(encoding="utf-8")
    assert int(needed.read_text(encoding="utf-8")) < 2_000_000
    assert not list(here.iterdir())
    return json.loads(Path(said).read_text(encoding="utf-8"))


def refuse(*to, **how):
    raise AssertionError(f"a connection to {to}")


def test_a_reader_finds_every_pass_with_its_shape_askers_and_cost(small):
    text = printed(small)
    for one in small.passes:
        row = next(line for line in text.splitlines() if f" {one.reads} " in line and f"{one.rows} x" in line)
        assert one.kind == "joint" or " + ".join(map(str, one.tokens)) in row
    assert "mgsc, mltc" in text and "3 vision, 3 text, 5 fusion, 2 joint" in text
    totals = [schedule.forward / small.micro_batch / 1e9 for schedule in small.schedules.values()]
    assert len(totals) == 3 and all(f" {total:.2f} " in text for total in totals), (totals, text)


def test_it_says_how_many_pairs_a_contrast_sees(small):
    text = " ".join(printed(small).split())
    assert "no loss compares more than 16." in text and "16 of 64" in text


def test_it_fits_120_columns(small):
    assert max(len(line.rstrip()) for line in printed(small).splitlines()) <= 120


def test_phases_are_shown_where_objectives_come_and_go(small):
    assert "from step" not in printed(small)
    assert "from step" in printed(costs("glscl", *THIN))


def test_data_is_json_and_holds_what_is_shown(published):
    """The published model's plan, which needs neither its captions nor its weights nor a network."""
    assert published["recipe"] == "glscl_base"
    assert published["forward_per_sample"] == pytest.approx(340.9e9, rel=1e-3)
    forward = [one["forward"] / published["micro_batch"] for one in published["schedules"].values()]
    assert forward == pytest.approx([340.9e9, 523.0e9, 664.3e9], rel=1e-3)
    assert len(published["passes"]) == 13 and published["micro_steps"] == 256
    assert published["schedules"]["published"]["groups"] == [["itm"], ["mlm"], ["itc"], ["mgsc", "mltc"]]
    assert published["peak_memory"] == sum(published["phases"][0]["memory"]["parts"].values())
    assert {
        loss["name"]: loss["weight"]
        for work in published["objectives"]
        if work["name"] == "mltc"
        for loss in work["losses"]
    } == {"image": 0.2, "text": 0.2}
