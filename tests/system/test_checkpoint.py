"""Checkpoints survive what happens to files: damage, a full disk, a process that dies while writing."""

import ctypes
import hashlib
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from trial_runs import forked, recipe, run, same_weights, stream

from vlobjectives import run_manifest
from vlobjectives.data.collate import learned
from vlobjectives.errors import DataError, RecipeError, ResourceError
from vlobjectives.files import read
from vlobjectives.recipe import yaml
from vlobjectives.recipe.recipes import locate
from vlobjectives.run_folder import RunFolder
from vlobjectives.system import checkpoint


def module(seed: int = 0, width: int = 64) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(width, width), nn.BatchNorm1d(width))


def saved(folder, *steps, keep=9):
    for step in steps:
        checkpoint.save(folder, step, module(step), {"step": step, "x": torch.arange(step)}, keep)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_comes_back_bit_by_bit(tmp_path):
    """Weights, buffers and state."""
    saved(tmp_path, 3)
    found, broken = checkpoint.newest(tmp_path)
    assert (found.step, broken) == (3, [])
    other = module(7)
    checkpoint.load_weights(other, found.folder)
    assert all(torch.equal(a, b) for a, b in zip(other.state_dict().values(), module(3).state_dict().values()))
    assert checkpoint.load_state(found.folder)["x"].tolist() == [0, 1, 2]


def test_the_newest_stay(tmp_path):
    saved(tmp_path, 2, 999_998, 999_999, 1_000_001, keep=2)
    assert names(tmp_path) == ["step-1000001", "step-999999"]
    assert checkpoint.newest(tmp_path)[0].step == 1_000_001


def test_what_somebody_keeps_under_another_name_is_left_alone(tmp_path):
    saved(tmp_path, 2)
    (tmp_path / "step-000002").rename(tmp_path / "step-000002-best")
    saved(tmp_path, 4, 6, keep=1)
    assert names(tmp_path) == ["step-000002-best", "step-000006"]
    checkpoint.set_aside(tmp_path, 0)
    assert checkpoint.newest(tmp_path) == (None, [])


@pytest.mark.parametrize(
    "damage",
    [
        "flip model",
        "flip state",
        "no model",
        "no manifest",
        "empty manifest",
        "hashless manifest",
        "other manifest",
        "list manifest",
    ],
)
def test_damage_is_seen_and_the_one_before_is_taken(tmp_path, damage):
    saved(tmp_path, 2, 4)
    kind, what = damage.split()
    path = (
        tmp_path
        / "step-000004"
        / {"model": checkpoint.MODEL, "state": checkpoint.STATE, "manifest": checkpoint.MANIFEST}[what]
    )
    if kind == "flip":
        data = bytearray(path.read_bytes())
        data[-1] ^= 4
        path.write_bytes(data)
    elif kind == "no":
        path.unlink()
    elif kind == "hashless":
        path.write_text('{"step": 4, "sha256": {}}', encoding="utf-8")
    elif kind == "other":  # the weights know their step, the folder's name too
        path.write_text(path.read_text(encoding="utf-8").replace('"step": 4', '"step": 400'), encoding="utf-8")
    elif kind == "list":
        path.write_text("[4]", encoding="utf-8")
    else:
        path.write_text("", encoding="utf-8")
    found, broken = checkpoint.newest(tmp_path)
    assert found.step == 2
    assert len(broken) == 1
    assert "step-000004 is damaged" in broken[0]


def test_weights_of_another_step_under_this_name_are_damage(tmp_path):
    """A folder renamed together with what its manifest says: the hashed weights say of which step they are."""
    saved(tmp_path, 2, 4)
    (tmp_path / "step-000004").rename(tmp_path / "step-000400")
    manifest = tmp_path / "step-000400" / checkpoint.MANIFEST
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"step": 4', '"step": 400'), encoding="utf-8")
    found, broken = checkpoint.newest(tmp_path)
    assert found.step == 2 and "step-000400 is damaged (it is of step 4 or 400)" in broken[0]


def test_older_checkpoints_whose_weights_say_no_step_are_whole(tmp_path):
    saved(tmp_path, 2)
    here = tmp_path / "step-000002"
    save_file(load_file(here / checkpoint.MODEL), here / checkpoint.MODEL)
    hashes = {
        name: hashlib.sha256((here / name).read_bytes()).hexdigest() for name in (checkpoint.MODEL, checkpoint.STATE)
    }
    (here / checkpoint.MANIFEST).write_text(json.dumps({"step": 2, "sha256": hashes}), encoding="utf-8")
    assert checkpoint.newest(tmp_path)[0].step == 2


def test_files_have_the_mode_that_the_umask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        saved(tmp_path, 2)
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "step-000002").iterdir()} == {0o640}


@contextmanager
def no_special_rights():
    """root without its right to read and write everything, of this thread; the permitted rights come back."""
    if os.geteuid():
        yield
        return
    libc, head = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(0x20080522, 0)
    was, less = (ctypes.c_uint32 * 6)(), (ctypes.c_uint32 * 6)()
    assert libc.capget(head, was) == 0
    less[:] = was[:]
    less[0] &= ~0b110  # effective CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(head, less) == 0
    try:
        yield
    finally:
        assert libc.capset(head, was) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="takes a right away from root as Linux does")
@pytest.mark.parametrize("which", ["model.safetensors", "state.pt", "manifest.json", ".", "..", "../.."])
def test_what_cannot_be_read_is_no_damage(tmp_path, which):
    """Whose it is and which right is missing; nothing is passed over, whatever is closed."""
    folder_ = tmp_path / "run" / "checkpoints"
    saved(folder_, 2, 4)
    closed = Path(os.path.normpath(folder_ / "step-000004" / which))
    mode = closed.stat().st_mode & 0o777
    closed.chmod(0)
    try:
        with no_special_rights(), pytest.raises(ResourceError) as caught:
            checkpoint.newest(folder_)
    finally:
        closed.chmod(mode)
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert f"{closed} belongs to {user}, its mode is 0000, and {user} has no right to " in str(caught.value)
    assert "nothing was changed" in str(caught.value)
    assert checkpoint.newest(folder_)[0].step == 4


@pytest.mark.skipif(sys.platform != "linux", reason="takes a right away from root as Linux does")
@pytest.mark.parametrize("which", ["recipe.yaml", "manifest.json", "metrics.jsonl", "fields/caption.json", ".lock"])
def test_no_file_of_a_run_that_cannot_be_read_is_taken_for_none(tmp_path, which):
    place = RunFolder.create(tmp_path / "run", "seed: 1\n")
    place.fields.mkdir()
    for name in ("manifest.json", "metrics.jsonl", "fields/caption.json", ".lock"):
        (place.path / name).write_text("{}", encoding="utf-8")
    (place.path / which).chmod(0)
    asks = {
        "recipe.yaml": lambda: yaml.read(place.recipe),
        "manifest.json": place.manifest,
        "metrics.jsonl": lambda: place.cut_metrics(3),
        ".lock": place.lock,
        "fields/caption.json": lambda: learned(place.fields, "caption"),
    }
    with no_special_rights(), pytest.raises(ResourceError, match="its mode is 0000"):
        asks[which]()
    (place.path / which).chmod(0o600)
    assert (place.path / which).read_text(encoding="utf-8") == ("seed: 1\n" if which == "recipe.yaml" else "{}")
    place.path.chmod(0)
    try:
        for ask in (lambda: place.stepped, place.manifest, lambda: locate(place.path)):
            with no_special_rights(), pytest.raises(ResourceError, match="has no right to enter it"):
                ask()
    finally:
        place.path.chmod(0o700)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file whose reading fails")
def test_a_disk_that_fails_is_no_damage(tmp_path):
    """A real input/output error: reading a process's memory at 0."""
    saved(tmp_path, 2, 4)
    model = tmp_path / "step-000004" / checkpoint.MODEL
    model.unlink()
    model.symlink_to("/proc/self/mem")
    with pytest.raises(ResourceError, match="Input/output error"):
        checkpoint.newest(tmp_path)
    with pytest.raises(ResourceError, match="Input/output error"):
        read(model)


def test_what_a_killed_process_left_is_cleared(tmp_path):
    saved(tmp_path, 2)
    (tmp_path / ".writing-000004-123").mkdir()
    assert checkpoint.newest(tmp_path)[0].step == 2
    saved(tmp_path, 4)
    assert names(tmp_path) == ["step-000002", "step-000004"]


def test_a_damaged_later_one_never_costs_a_good_one(tmp_path):
    """After going on from step 4 under a damaged step 8, with one to keep, step 6 stays."""
    saved(tmp_path, 4, 8)
    checkpoint.set_aside(tmp_path, after=4)
    saved(tmp_path, 6, keep=1)
    assert names(tmp_path) == ["damaged-step-000008", "step-000006"]


def test_a_system_that_differs_is_refused(tmp_path):
    saved(tmp_path, 1)
    with pytest.raises(DataError, match="missing"):
        checkpoint.load_weights(nn.Linear(3, 3), tmp_path / "step-000001")
    with pytest.raises(DataError, match=r"\(64, 64\) there, \(32, 32\) here"):
        checkpoint.load_weights(module(width=32), tmp_path / "step-000001")


def test_nothing_else_is_unpickled(tmp_path):
    """A state that would run code is refused."""
    saved(tmp_path, 1)

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "trapped"),)

    torch.save({"x": Trap()}, tmp_path / "step-000001" / checkpoint.STATE)
    with pytest.raises(DataError, match="more than tensors and plain data") as caught:
        checkpoint.load_state(tmp_path / "step-000001")
    assert "weights_only" not in str(caught.value) and not (tmp_path / "trapped").exists()
    torch.save([1], tmp_path / "step-000001" / checkpoint.STATE)
    with pytest.raises(DataError, match="no state of a run"):
        checkpoint.load_state(tmp_path / "step-000001")
    (tmp_path / "step-000001" / checkpoint.MODEL).write_bytes(b"\x80\x04cno")
    with pytest.raises(DataError, match="holds no weights"):
        checkpoint.load_weights(module(), tmp_path / "step-000001")


def test_a_limit_on_file_sizes(tmp_path):
    """RLIMIT_FSIZE in a process of its own: a ResourceError that says what to do, the first checkpoint whole."""
    saved(tmp_path / "c", 2)

    def work():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        try:
            saved(tmp_path / "c", 4, keep=1)
        except ResourceError as error:
            assert "step 4 could not be written" in str(error)
            assert "free disk space" in error.hint
            return 42

    child = forked(tmp_path / "said", work)
    assert child.wait() == 42, child.text
    assert names(tmp_path / "c") == ["step-000002"]
    assert checkpoint.newest(tmp_path / "c")[0].step == 2


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3500k", "tmpfs", str(place)], capture_output=True, encoding="utf-8"
        )
        if shutil.which("mount")
        else None
    )
    if mounted is None or mounted.returncode:
        pytest.skip(f"mounting a file system is not allowed here: {mounted.stderr.strip() if mounted else 'no mount'}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_loses_no_checkpoint(small_disk, tmp_path):
    """A whole run: exit 6 when the disk fills up, then more room, and the run that never met a full disk."""
    path = recipe(tmp_path)
    whole = run(path, tmp_path / "whole", "run.steps=8", "run.checkpoint.keep=9")
    assert whole.wait() == 0, whole.text
    out = small_disk / "run"
    child = run(path, out, "run.steps=8", "run.checkpoint.keep=9")
    assert child.wait() == 6, child.text
    assert "could not be written" in child.text or "the disk is full" in child.text
    there = names(out / "checkpoints")
    assert there
    assert all(name.startswith("step-") for name in there)
    found, broken = checkpoint.newest(out / "checkpoints")
    assert (found.folder.name, broken) == (there[-1], [])
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    more = run(path, out, "run.steps=8", "run.checkpoint.keep=9")
    assert more.wait() == 0, more.text
    assert f"going on after step {found.step}" in more.text
    assert stream(out) == stream(tmp_path / "whole")
    same_weights(out, tmp_path / "whole")


def test_a_run_folder_is_made_exclusively(tmp_path):
    """With its recipe from the first moment; never into a folder that holds something."""
    RunFolder.create(tmp_path / "a" / "run", "seed: 1\n")
    assert names(tmp_path / "a" / "run") == ["recipe.yaml"]
    with pytest.raises(RecipeError, match="already there"):
        RunFolder.create(tmp_path / "a" / "run", "seed: 2\n")
    assert (tmp_path / "a" / "run" / "recipe.yaml").read_text(encoding="utf-8") == "seed: 1\n"
    assert names(tmp_path / "a") == ["run"]
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ResourceError, match="cannot be made"):
        RunFolder.create(tmp_path / "file" / "run", "")


def test_metrics_are_cut_to_the_checkpoint(tmp_path):
    """Also a line that a kill cut in two."""
    place = RunFolder(tmp_path)
    lines = "".join(json.dumps({"step": step}) + "\n" for step in range(5))
    place.metrics.write_text(lines + '{"step": 5, "lo', encoding="utf-8")
    assert place.cut_metrics(3) == 0
    assert [json.loads(line)["step"] for line in place.metrics.read_text(encoding="utf-8").splitlines()] == [0, 1, 2]
    place.metrics.write_bytes(place.metrics.read_bytes().replace(b'{"step": 1}', b"\0" * 11))
    assert place.cut_metrics(3) == 1, "what was lost otherwise is told"


def test_a_manifest_names_no_checkout_that_the_package_is_not_part_of(tmp_path, monkeypatch):
    """A virtual environment often lies in the folder of somebody's own project."""

    def git(*words):
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=tmp_path, check=True)

    here = tmp_path / "installed.py"
    here.write_text("", encoding="utf-8")
    (tmp_path / "own").write_text("", encoding="utf-8")
    git("init", "-q")
    git("add", "own")
    git("commit", "-qm", "own")
    monkeypatch.setattr(run_manifest, "__file__", str(here))
    assert run_manifest._git() is None
    git("add", "installed.py")
    git("commit", "-qm", "package")
    assert run_manifest._git()
