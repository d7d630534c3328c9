"""Samples in their order, bad ones replaced, workers that die or are left alone."""

import json
import os
import re
import signal
import time
from types import SimpleNamespace

import pytest
import torch
from broken_plugins import BAD
from trial_runs import evaluated, forked, lines, recipe, run, until

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.source import Sample, UnusableSample
from vlobjectives.data.loader import Layout, MicroBatches, SampleOrder, fetch, in_order, micro_batches
from vlobjectives.errors import DataError


class Numbers:
    """A source of 20 numbers; those in `bad` cannot be used."""

    together = 1

    def __init__(self, bad=(), busy=0.0):
        self.bad, self.busy = set(bad), busy

    def size(self, split):
        return 20

    def sample(self, split, number, epoch, seed):
        time.sleep(self.busy)
        if number in self.bad:
            return UnusableSample("cannot be read", f"file {number}")
        return Sample({}, number, str(number))


def data(**options):
    fields = SimpleNamespace(
        source="",
        batch=lambda samples, numbers: Batch(
            torch.tensor(list(numbers)), torch.tensor([sample.same for sample in samples]), {}
        ),
    )
    return MicroBatches(Numbers(**options), fields, "train", Layout(4, 4), 5)


def test_each_epoch_shows_every_sample_once():
    order = SampleOrder(20, 5)
    epochs = [[order(20 * epoch + place) for place in range(20)] for epoch in range(3)]
    for number, shown in enumerate(epochs):
        assert sorted(one for one, _ in shown) == list(range(20))
        assert {epoch for _, epoch in shown} == {number}
    assert epochs[0] != epochs[1]
    assert SampleOrder(20, 5)(47) == order(47)


@pytest.mark.parametrize(("ranks", "micro"), [(1, 8), (1, 2), (2, 4), (2, 2), (4, 1)])
def test_processes_and_micro_batches_share_out_the_same_rows(ranks, micro):
    """All together take the rows of one process's step; a micro-step's are consecutive over the ranks."""
    steps = [Layout(8, micro, ranks, rank).micro_steps for rank in range(ranks)]
    assert set(steps) == {8 // (ranks * micro)}
    rows = [row for m in range(steps[0]) for rank in range(ranks) for row in Layout(8, micro, ranks, rank).rows(3, m)]
    assert rows == list(range(24, 32))


def test_workers_read_what_one_process_reads():
    """In the same order, bad samples and their replacements included, from any point on."""
    alone = list(micro_batches(data(bad=(3, 4, 11)), 0, 9, 0, False))
    assert sum(len(item.bad) for item in alone) >= 3
    apart = list(micro_batches(data(bad=(3, 4, 11)), 2, 9, 2, False))
    for one, other in zip(alone[2:], apart, strict=True):
        assert torch.equal(one.batch.same, other.batch.same)
        assert (one.keys, one.bad) == (other.keys, other.bad)


def test_workers_read_a_held_out_split_too():
    """The same batches, the last one shorter."""
    items = data(bad=(3,))
    found = [list(in_order(items.source, items.fields, "val", 11, 4, 5, workers)) for workers in (0, 2)]
    assert [batch.number.tolist() for batch in found[0]] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]
    for one, other in zip(*found, strict=True):
        assert torch.equal(one.number, other.number) and torch.equal(one.same, other.same)
    met = {}
    list(in_order(items.source, items.fields, "val", 11, 4, 5, met=met))
    assert met == {3: UnusableSample("cannot be read", "file 3")}, "what others stand in the place of is known"


def test_a_bad_sample_has_one_replacement():
    """It hangs on (seed, split, number, epoch) alone, and is not bad itself."""
    source = Numbers(bad=range(10))
    first, met = fetch(source, "train", 3, 0, 5, 20)
    again, _ = fetch(source, "train", 3, 0, 5, 20)
    assert first == again
    assert first.same >= 10
    assert met[0] == (3, UnusableSample("cannot be read", "file 3"))
    assert len({fetch(source, "train", 3, epoch, 5, 20)[0].same for epoch in range(20)}) > 1
    with pytest.raises(DataError, match="64 samples in a row"):
        fetch(Numbers(bad=range(20)), "train", 3, 0, 5, 20)


def test_an_error_of_a_worker_reads_as_one_of_ours():
    with pytest.raises(DataError) as caught:
        next(micro_batches(data(bad=range(20)), 0, 4, 1, False))
    assert "Traceback" not in str(caught.value)
    assert caught.value.what.startswith("64 samples in a row")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="utf-8") as file:
        return [int(child) for child in file.read().split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


linux = pytest.mark.skipif(
    not os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children"),
    reason="needs /proc/PID/task/TID/children to find the workers",
)


@linux
def test_a_worker_that_dies_stops_the_run(tmp_path):
    """Exit 6, and it says so."""
    out = tmp_path / "run"
    child = run(recipe(tmp_path), out, "data.workers=2", "run.steps=3000", "run.checkpoint.steps=3000")
    until(lambda: lines(out), child)
    os.kill(children(child.pid)[0], signal.SIGKILL)
    assert child.wait(60) == 6, child.text
    assert "a loader worker died" in child.text
    assert "data.workers" in child.text


@linux
def test_no_worker_outlives_a_killed_trainer(tmp_path):
    """Even a busy one; and none is disturbed by a signal to the whole group."""

    def work():
        for _ in micro_batches(data(busy=0.3), 0, 100, 2, False):
            pass

    child = forked(tmp_path / "said", work)
    until(lambda: len(children(child.pid)) >= 2, child)
    time.sleep(0.5)
    workers = children(child.pid)
    for worker in workers:
        os.kill(worker, signal.SIGTERM)
        os.kill(worker, signal.SIGINT)
    time.sleep(1)
    assert all(alive(worker) for worker in workers)
    assert child.running(), child.text
    child.kill()
    child.wait()
    end = time.monotonic() + 3
    while any(alive(worker) for worker in workers) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(alive(worker) for worker in workers)


def test_bad_samples_are_counted_and_too_many_stop(tmp_path):
    """8 of 48: allowed at 0.2, each named once, also after a resume; at 0.1 the fifth stops the run with exit 3."""
    path, out = recipe(tmp_path, BAD), tmp_path / "run"
    child = run(path, out, "data.type=torn", "data.max_bad=0.2", "run.steps=6")
    assert child.wait() == 0, child.text
    assert child.text.count("sample skipped: picture") == 8
    assert child.text.count("sample skipped: picture 13: torn") == 1
    assert "1 of 16 samples of test cannot be used, and others stand in their place in its scores" in child.text
    assert re.search(r"test\s+score\s+15 of 16 read", child.text), "beside the scores"
    lost = {"samples": 16, "unusable": 1, "first": "picture 5: torn"}
    for file in ("summary.json", "eval/step-000006.json"):
        assert json.loads((out / file).read_text(encoding="utf-8"))["unusable"] == {"test": lost}, file
    again = evaluated(out)
    assert again.wait() == 0, again.text
    [file] = (out / "eval").glob("step-000006-*.json")
    assert json.loads(file.read_text(encoding="utf-8"))["unusable"] == {"test": lost}
    more = run(path, out, "data.type=torn", "data.max_bad=0.2", "run.steps=7")
    assert more.wait() == 0, more.text
    assert more.text.count("sample skipped: picture") == 8, "output of both"
    few = run(path, tmp_path / "few", "data.type=torn", "data.max_bad=0.1", "run.steps=6")
    assert few.wait() == 3, few.text
    assert "of 48 samples cannot be used so far, and data.max_bad allows 4 (0.1)" in few.text
    assert len(lines(tmp_path / "few")) < 6
