"""The cache folder: where it lies, what is made once in it, and what is said where it cannot be written."""

import errno
import multiprocessing
import os
from pathlib import Path

import pytest
from vlobj_data import cache

from vlobjectives.errors import ResourceError


@pytest.mark.parametrize(
    "named, base, where",
    [
        ("/somewhere/mine", "/base", "/somewhere/mine"),
        ("", "/base", "/base/vlobjectives"),
        ("", "relative", "/home/me/.cache/vlobjectives"),  # as the specification of XDG says: it is passed over
        ("", "", "/home/me/.cache/vlobjectives"),
    ],
)
def test_the_folder_is_named_by_the_environment(monkeypatch, named, base, where):
    for name, value in ((cache.FOLDER, named), ("XDG_CACHE_HOME", base), ("HOME", "/home/me")):
        monkeypatch.setenv(name, value)
    assert cache.folder() == Path(where)


def _append(folder: Path) -> None:
    def make(part: Path) -> None:
        with (folder / "calls").open("a", encoding="utf-8") as file:
            file.write("call\n")
        part.write_text("whole", encoding="utf-8")

    assert cache.made_once(folder / "cache" / "made", make).read_text(encoding="utf-8") == "whole"


def test_of_several_processes_one_makes_the_file(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_append, args=(tmp_path,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert (tmp_path / "calls").read_text(encoding="utf-8") == "call\n"


def test_what_fails_leaves_nothing_and_what_was_left_is_removed(tmp_path):
    path = tmp_path / "made"
    (tmp_path / "made.123.part").write_text("by a process that was killed", encoding="utf-8")

    def broken(part: Path) -> None:
        part.write_text("half", encoding="utf-8")
        raise ValueError("no such thing")

    with pytest.raises(ValueError, match="no such thing"):
        cache.made_once(path, broken)
    assert not path.exists() and not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("code, why", [(errno.ENOSPC, "has no room left"), (errno.EACCES, "cannot be written")])
def test_a_folder_that_cannot_be_written_is_said(tmp_path, code, why):
    def full(part: Path) -> None:
        raise OSError(code, os.strerror(code))

    with pytest.raises(ResourceError, match=why) as caught:
        cache.made_once(tmp_path / "made", full)
    assert caught.value.place.file == str(tmp_path) and "VLOBJ_CACHE" in caught.value.hint


def test_a_file_where_the_folder_should_be_is_said(tmp_path):
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    with pytest.raises(ResourceError, match="the cache folder cannot be written"):
        cache.made_once(tmp_path / "cache" / "made", lambda part: part.touch())


def test_the_identity_changes_with_the_file_and_not_with_its_place(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        path.write_bytes(bytes(3 * cache.ENDS))
        os.utime(path, ns=(1, 1))
    before = cache.identity(first)
    assert cache.identity(second) == before
    second.write_bytes(bytes(3 * cache.ENDS - 1) + b"1")
    os.utime(second, ns=(1, 1))
    assert cache.identity(second) != before
    os.utime(first, ns=(2, 2))
    assert cache.identity(first) != before
