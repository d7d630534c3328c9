"""A plan as a person and a program read it."""

import json
import os
import subprocess
import sys
from io import StringIO

import pytest
from planned import costs
from rich.console import Console

from vlobjectives.costs import table


def printed(found, width: int = 120) -> str:
    console = Console(width=width, file=StringIO())
    console.print(table.renderable(found))
    return console.file.getvalue()


@pytest.fixture(scope="module")
def base():
    return costs("glscl_base")


def test_a_reader_finds_every_pass_with_its_shape_askers_and_cost(base):
    text = printed(base)
    for one in base.passes:
        row = next(line for line in text.splitlines() if f" {one.reads} " in line and f"{one.rows} x" in line)
        assert one.kind == "joint" or " + ".join(map(str, one.tokens)) in row
    assert "mgsc, mltc" in text and "340.9" in text and "523.0" in text and "664.3" in text
    assert "3 vision, 3 text, 5 fusion, 2 joint" in text


def test_it_says_how_many_pairs_a_contrast_sees(base):
    text = " ".join(printed(base).split())
    assert "no loss compares more than 16." in text and "16 of 4,096" in text


def test_it_fits_120_columns(base):
    assert max(len(line.rstrip()) for line in printed(base).splitlines()) <= 120


def test_phases_are_shown_where_objectives_come_and_go(base):
    assert "from step" not in printed(base)
    assert "from step" in printed(costs("glscl", "run.device=cpu", "run.precision=fp32"))


def test_data_is_json_and_holds_what_is_shown(base):
    found = json.loads(json.dumps(table.data(base)))
    assert found["forward_per_sample"] == pytest.approx(340.9e9, rel=1e-3)
    assert len(found["passes"]) == 13 and found["micro_steps"] == 256
    assert found["schedules"]["published"]["groups"] == [["itm"], ["mlm"], ["itc"], ["mgsc", "mltc"]]
    assert found["peak_memory"] == sum(found["phases"][0]["memory"]["parts"].values())
    assert {
        loss["name"]: loss["weight"]
        for work in found["objectives"]
        if work["name"] == "mltc"
        for loss in work["losses"]
    } == {"image": 0.2, "text": 0.2}


def test_the_verb_needs_neither_data_nor_weights_nor_network(tmp_path):
    """The published model's plan, its captions and weights missing, every hub switched off, under 3 GB."""
    code = """
import resource, sys
from vlobjectives.cli import main
assert main(["plan", "glscl_base", "--json"]) == 0
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        encoding="utf-8",
        cwd=tmp_path,
        timeout=300,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout)["recipe"] == "glscl_base"
    assert int(done.stderr.split()[-1]) < 3_000_000
    assert not list(tmp_path.iterdir())
