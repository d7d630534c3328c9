"""A plug-in package that somebody wrote: built, installed and tested in this process."""

import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hatchling.build
import pytest

QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--import-mode=importlib", "--no-header", "-W", "ignore")
TWO_PROCESSES = "processes_equal_one"
"""The check that starts processes, which takes seconds."""


def write(folder: Path, files: dict[str, str]) -> Path:
    """The files of a package, path below its folder -> text."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@contextmanager
def installed(folder: Path, site: Path) -> Iterator[None]:
    """The package's own wheel, built by its build backend and unpacked into a folder that is on sys.path."""
    site.mkdir()
    before, modules = os.getcwd(), set(sys.modules)
    os.chdir(folder)
    try:
        wheel = hatchling.build.build_wheel(str(site))
    finally:
        os.chdir(before)
    zipfile.ZipFile(site / wheel).extractall(site)
    sys.path.insert(0, str(site))
    try:
        yield
    finally:
        sys.path.remove(str(site))
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(site)):
                del sys.modules[name]


class _Outcomes:
    """What became of each test of a run of pytest."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed[report.nodeid] = str(report.longrepr)
        elif report.when == "call":
            self.passed.append(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed[report.nodeid] = str(report.longrepr)


def run_tests(folder: Path, processes: bool = False) -> list[str]:
    """Runs the package's own tests and gives those that passed; all must. `processes`: also what starts processes."""
    outcomes = _Outcomes()
    words = [*QUIET, "--rootdir", str(folder), "-c", os.devnull, str(folder / "tests")]
    code = pytest.main([*words, *([] if processes else ["-k", f"not {TWO_PROCESSES}"])], [outcomes])
    assert not outcomes.failed, "\n\n".join(f"{name}\n{text}" for name, text in outcomes.failed.items())
    assert code == 0 and outcomes.passed
    return outcomes.passed
