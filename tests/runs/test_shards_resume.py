"""A run on shards is the run on files, and when it is killed twice and taken up again it still is."""

import random

import pytest
from process_runs import STILL, compare
from shard_files import as_files, as_shards
from trial_runs import RECIPE, lines, processes, recipe, run, same_weights, stream, until

COUNT = 60


def of(folder, manifest):
    """The tiny recipe on pictures of noise, drawn into splits, cut and mirrored."""
    path = recipe(folder)
    scenes = next(line for line in RECIPE.splitlines() if line.startswith("data: "))
    data = (
        f"data: {{type: captions, manifest: '{manifest}', image_size: 32, augment: crop, flip: true, batch: 8, "
        "hold_out: {val: 0.1, test: 0.1}}"
    )
    path.write_text(RECIPE.replace(scenes, data), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def on_files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    path, out = of(folder, as_files(folder / "data", COUNT)), folder / "run"
    child = run(path, out)
    assert child.wait() == 0, child.text
    assert [row["step"] for row in lines(out)] == list(range(14))
    return out


@pytest.mark.parametrize("workers", [pytest.param(0, marks=pytest.mark.slow), 2])
def test_killed_twice_on_shards_is_the_run_on_files(on_files, tmp_path, workers):
    path, out = of(tmp_path, as_shards(tmp_path / "data", COUNT, 16)), tmp_path / "run"
    dice, more = random.Random(workers), (f"data.workers={workers}",)
    for reached in (5, dice.randrange(7, 13)):
        child = run(path, out, *more)
        until(lambda reached=reached: len(lines(out)) >= reached, child)
        child.kill()
        assert child.wait() == -9, child.text
    child = run(path, out, *more)
    assert child.wait() == 0, child.text
    assert (out / "log.txt").read_text(encoding="utf-8").count("going on after step") == 2
    assert stream(out) == stream(on_files)
    same_weights(out, on_files)


@pytest.mark.slow
def test_two_processes_on_shards_are_one_on_files(tmp_path, port):
    files, shards = tmp_path / "files", tmp_path / "shards"
    for folder in (files, shards):
        folder.mkdir()
    child = run(of(files, as_files(files / "data", COUNT)), files / "run", *STILL)
    assert child.wait() == 0, child.text
    path = of(shards, as_shards(shards / "data", COUNT, 16))
    for child in processes(path, shards / "run", port, 2, *STILL):
        assert child.wait() == 0, child.text
    compare(shards / "run", files / "run")
