"""Real sweeps: from the file to the table, killed and gone on with, stopped, with rows that fail."""

import csv
import json
import signal
import statistics

import pytest
from trial_runs import lines, until
from trial_sweeps import SWEEP, ended, summary, sweep, until_gone, written

from vlobjectives.run_folder import RunFolder
from vlobjectives.runtime.log import Log
from vlobjectives.sweeping.prepare import Prepared, ReadyRow, SweepRun, _before
from vlobjectives.sweeping.rows import loaded
from vlobjectives.sweeping.sweep import SweepJob, SweepOrder
from vlobjectives.sweeping.sweep_file import read_sweep

SCORE = "losses/test/itc/contrast"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep that came to its end, and what it said."""
    path = written(tmp_path_factory.mktemp("whole"))
    code, said = ended(path)
    assert code == 0, said
    return path, said


def table(path) -> list[dict]:
    return list(csv.DictReader((path.parent / "out/table.csv").open(encoding="utf-8")))


def test_every_row_is_checked_before_the_first_one_trains(whole):
    _, said = whole
    order = [line for line in said.splitlines() if line.startswith(("checking row", "1 of 6", "6 of 6"))]
    assert order == [
        "checking row 1 of 2: base",
        "checking row 2 of 2: few",
        "1 of 6: base, seed 0",
        "6 of 6: few, seed 2",
    ]


def test_runs_are_ordinary_run_folders(whole):
    path, _ = whole
    for row in ("base", "few"):
        for seed in (0, 1, 2):
            place = path.parent / f"out/{row}-seed{seed}"
            assert [line["step"] for line in lines(place)] == [0, 1, 2, 3]
            assert f"seed: {seed}\n" in (place / "recipe.yaml").read_text(encoding="utf-8")
            assert f"batch: {8 if row == 'base' else 4}," in (place / "recipe.yaml").read_text(encoding="utf-8")


def test_table_is_what_the_runs_scored(whole):
    path, said = whole
    values = {
        row: [summary(path.parent / f"out/{row}-seed{seed}")[SCORE]["value"] for seed in (0, 1, 2)]
        for row in ("base", "few")
    }
    base, other = table(path)
    assert (base["score"], base["row"], other["row"]) == (SCORE, "base", "few")
    assert float(base["mean"]) == pytest.approx(statistics.mean(values["base"]))
    differences = [b - a for a, b in zip(values["base"], values["few"])]
    half = 4.3026527 * statistics.stdev(differences) / 3**0.5
    assert float(other["difference"]) == pytest.approx(statistics.mean(differences))
    assert float(other["difference_high"]) - float(other["difference"]) == pytest.approx(half)
    assert other["verdict"] in ("higher", "lower", "not significant") and base["verdict"] == ""
    assert int(other["passes"]) == int(base["passes"]) == 4
    assert float(other["flops"]) == pytest.approx(float(base["flops"]) / 2, rel=0.01)
    text = (path.parent / "out/table.md").read_text(encoding="utf-8")
    assert text.startswith("# Two rows.\n") and f"**{SCORE} (chance " in text
    assert "| few | data.batch=4 | 3 of 3 | 4 |" in text
    assert "3 of 3" in said and "x 1.00" in said


def test_a_finished_sweep_trains_nothing_and_says_the_same(whole):
    path, _ = whole
    before = table(path)
    code, said = ended(path)
    assert code == 0 and "left to do 0 runs" in said and "checking" not in said and "1 of 6" not in said
    assert table(path) == before


def test_a_damaged_note_of_an_earlier_start_is_said(whole):
    """It spares work and holds nothing else: the rows are checked again, and nothing is trained again."""
    path, _ = whole
    kept = path.parent / "out/sweep.json"
    held = kept.read_text(encoding="utf-8")
    assert len(_before(kept.parent)[0]) == 2 and not _before(kept.parent)[1]
    for damaged in ("", held[:-9], "[]", '{"rows": {"base": {"digest": "x"}}}', held.replace('"passes"', '"steps"')):
        kept.write_text(damaged, encoding="utf-8")
        known, (note,) = _before(kept.parent)
        assert not known and note.startswith(f"note: {kept}  the file is damaged: ") and "\n    hint: " in note, note
    code, said = ended(path, "--dry-run")
    assert code == 0 and f"note: {kept}  the file is damaged: " in said and "left to do 0 runs" in said, said
    kept.write_text(held, encoding="utf-8")


def test_what_changed_is_trained_anew_and_what_was_is_kept(whole):
    path, _ = whole
    was = summary(path.parent / "out/few-seed1")
    path.write_text(SWEEP.replace("few: {", "few: {optim.lr: 5e-3, ").replace("[0, 1, 2]", "[1]"), encoding="utf-8")
    code, said = ended(path)
    assert code == 0, said
    assert "few-seed1 is a run of another recipe or version: kept as" in said and "base, seed 1" not in said
    assert summary(path.parent / "out/few-seed1.before-1") == was
    assert summary(path.parent / "out/few-seed1") != was
    [base, other] = table(path)
    assert other["verdict"] == "not judged (1 seed)" and base["low"] == "" and other["p"] == ""


def test_a_change_of_scores_alone_trains_no_step(whole):
    path, _ = whole
    steps = lines(path.parent / "out/base-seed0")
    path.write_text(
        "base: small.yaml\nchange: {run.steps: 4, data.val: 0, evaluate.retrieval: {gallery: 8}}\n"
        "seeds: [0]\nmetrics: [retrieval/test/*/r1]\nout: out\n",
        encoding="utf-8",
    )
    code, said = ended(path)
    assert code == 0 and "1 of 1: base, seed 0, goes on" in said, said
    assert lines(path.parent / "out/base-seed0") == steps
    assert table(path)[0]["score"] == "retrieval/test/image_to_text/r1"


def test_stopped_in_every_way_and_gone_on_with(tmp_path):
    path = written(
        tmp_path,
        "base: small.yaml\nchange: {run.steps: 40, run.checkpoint.steps: 4}\nseeds: [0]\n"
        "metrics: [losses/test/*]\nout: out\n",
    )
    place = tmp_path / "out/base-seed0"
    for step, number, code in ((6, signal.SIGKILL, -9), (14, signal.SIGINT, 130), (24, signal.SIGTERM, 75)):
        child = sweep(path)
        until(lambda step=step: len(lines(place)) >= step, child)
        run = int((place / ".lock").read_text(encoding="utf-8").split()[-1])
        child.kill(number)
        assert child.wait() == code, child.text
        until_gone(run)
        assert not (place / "summary.json").exists()
    assert "stopped by Ctrl-C" in child.text and "stopped by SIGTERM" in child.text
    code, said = ended(path)
    assert code == 0 and "1 of 1: base, seed 0, goes on" in said, said
    assert [line["step"] for line in lines(place)] == list(range(40))
    starts = json.loads((place / "manifest.json").read_text(encoding="utf-8"))["starts"]
    after = [one["after_step"] for one in starts]
    assert len(after) == 4 and after[0] == 0 and after == sorted(set(after))


def test_a_run_of_another_recipe_is_in_no_table_before_it_is_trained_anew(tmp_path):
    file = read_sweep(written(tmp_path))
    rows = loaded(file)
    ready = []
    for row, recipe in rows:
        place = tmp_path / f"out/{row.name}-seed0"
        place.mkdir(parents=True)
        score = json.dumps({SCORE: {"value": 1.0, "chance": None, "per_cent": False}})
        (place / "summary.json").write_text(score, encoding="utf-8")
        state = "finished" if row.name == "base" else "other"
        ready.append(ReadyRow(row, recipe.recipe, "", 4, 1e9, (SweepRun(row.name, 0, place, state),)))
    out = tmp_path / "out"
    order, prepared = SweepOrder(file, rows, out), Prepared(tuple(ready), ())
    [score], costs, notes = SweepJob(order, prepared, RunFolder(out), Log(False)).write()
    assert [cell.row for cell in score.cells] == ["base"] and [cost.done for cost in costs] == [1, 0]
    assert notes == ["No seconds of base, seed 0: no line of its metrics.jsonl can be read."]


def test_a_row_that_fails_is_told_and_the_others_go_on(tmp_path):
    path = written(
        tmp_path,
        "base: small.yaml\nchange: {run.steps: 4}\nrows: {wild: {optim.lr: 1e12}, "
        "slow: {optim.lr: 1e-4}}\nseeds: [0]\nout: out\n",
    )
    code, said = ended(path)
    assert code == 5, said
    assert "wild, seed 0 failed with code 5: step 1: " in said and "went non-finite" in said
    assert {row["row"] for row in table(path)} == {"base", "slow"}
    text = (tmp_path / "out/table.md").read_text(encoding="utf-8")
    assert "| wild | optim.lr=1000000000000.0 | 0 of 1, 1 failed |" in text and "Failed: wild, seed 0: step 1: " in text
    assert "went non-finite" in (tmp_path / "out/failed/wild-seed0.txt").read_text(encoding="utf-8")


def test_a_dry_run_makes_nothing(tmp_path):
    path = written(
        tmp_path, "base: small.yaml\ngrid: {data.batch: [4]}\ndrop_one: objectives\nseeds: [3, 4]\nout: out\n"
    )
    code, said = ended(path, "--dry-run", "--tiny", "data.samples=40")
    assert code == 0, said
    assert {one.name for one in tmp_path.iterdir()} == {"tiny.yaml", "small.yaml", "trial.yaml", "trial.said.txt"}
    assert "checking row 1 of 1: base" in said and "2 to train" in said and "2 runs, " in said and "FLOP" in said
    assert "tiny: every part small" in said and "row batch=4 is the same recipe as row base, and left out" in said
    assert "row without_itc is left out: without this objective none has a weight at step 0" in said
