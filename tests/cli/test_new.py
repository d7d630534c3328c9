"""`vlobj new`: for every kind a package that installs, passes its checks and trains; what it refuses."""

import subprocess
import sys
import venv

import pytest
from small_recipes import vlobj
from written_packages import installed, run_tests, write

from vlobjectives.cli import new
from vlobjectives.components import KINDS

ON_PAGES = ("objective", "mask", "pairing", "encoder", "reader", "source", "evaluation", "tracker")
"""Kinds whose package the pages of docs/plugins show and run, letter by letter: tests/docs/test_plugin_pages.py."""


def test_it_writes_a_package_and_says_what_comes_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ended = vlobj(capsys, "new", "objective", "my_loss")
    assert ended.code == 0 and ended.err == ""
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert sorted(ended.out.split("\n\n")[0].splitlines()) == written
    assert "cd my_loss && pip install -e ." in ended.out and "vlobj run recipe.yaml --tiny" in ended.out
    for path, text in new.package("objective", "my_loss").items():
        assert (tmp_path / "my_loss" / path).read_text(encoding="utf-8") == text


def test_into_a_folder_that_is_new_or_empty(tmp_path, monkeypatch, capsys):
    (tmp_path / ".git").mkdir()  # a repository that was just made
    monkeypatch.chdir(tmp_path)
    ended = vlobj(capsys, "new", "mask", "windows", "--into", ".")
    assert ended.code == 0 and "next: pip install -e ." in ended.out
    assert (tmp_path / "windows" / "mask.py").is_file()
    assert vlobj(capsys, "new", "mask", "other_windows", "--into", tmp_path / "deep" / "below").code == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ended = vlobj(capsys, "new", "mask", "windows_too", "--into", ".")
    assert ended.code == 2 and "is not empty" in ended.err and ended.err.count("\n") == 2
    ended = vlobj(capsys, "new", "mask", "windows_too", "--into", "recipe.yaml")
    assert ended.code == 2 and "is a file" in ended.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    "kind, name, what, hint",
    [
        ("objectve", "my_loss", "there is no kind of plug-in 'objectve', did you mean 'objective'?", "kinds are obj"),
        ("loss", "my_loss", "there is no kind of plug-in 'loss'", "kinds are objective, mask"),
        ("objective", "my-loss", "'my-loss' cannot name a package", "such as my_loss"),
        ("objective", "MyLoss", "'MyLoss' cannot name a package", "such as my_loss"),
        ("objective", "3d", "'3d' cannot name a package", "such as my_loss"),
        ("objective", "größe", "'größe' cannot name a package", "such as my_loss"),
        ("objective", "../up", "'../up' cannot name a package", "such as up"),
        ("objective", "class", "'class' is a word of Python", "such as my_class"),
        ("objective", "len", "'len' is a word of Python", "such as my_len"),
        ("objective", "itc", "there is a component 'itc' (objective, from vlobjectives)", "such as my_itc"),
        ("mask", "itc", "there is a component 'itc'", "such as my_itc"),
        ("reader", "json", "there is a module 'json'", "such as my_json"),
        ("reader", "torch", "there is a module 'torch'", "such as my_torch"),
        ("objective", "joint", "the class of 'joint' would be Joint", "such as my_joint"),
    ],
)
def test_what_will_not_do_is_one_message(kind, name, what, hint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ended = vlobj(capsys, "new", kind, name)
    assert (ended.code, ended.out, list(tmp_path.iterdir())) == (2, "", [])
    assert ended.err.startswith(what) and hint in ended.err and ended.err.count("\n") == 2


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_has_the_layout_of_this_library(kind, tmp_path):
    write(tmp_path, new.package(kind, "my_own"))
    config = ("--config", "line-length=120", "--config", 'lint.extend-select=["I","B","UP","SIM","RUF"]', "--isolated")
    for words in (("check", "--quiet", *config), ("format", "--check", "--quiet", *config[:2], "--isolated")):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "."], cwd=tmp_path, capture_output=True, encoding="utf-8"
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow  # seconds each; those of other kinds run quickly enough as the pages show them
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ON_PAGES])
def test_what_no_page_shows_installs_passes_its_checks_and_trains(kind, tmp_path, monkeypatch, capsys):
    folder = write(tmp_path / "package", new.package(kind, "my_own"))
    monkeypatch.chdir(folder)
    with installed(folder, tmp_path / "site"):
        assert vlobj(capsys, "run", "recipe.yaml", "--tiny").code == 0
        assert run_tests(folder)


@pytest.mark.slow  # mypy, over torch
def test_what_is_written_is_typed(tmp_path):
    """Strictly, as an author's own mypy would have it."""
    for kind in KINDS:
        write(tmp_path, new.package(kind, f"own_{kind}"))
    packages = [word for kind in KINDS for word in ("-p", f"own_{kind}")]
    words = ["--strict", "--follow-imports=silent", "--cache-dir", str(tmp_path / ".mypy_cache"), *packages]
    done = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow  # an environment of its own, and pip
def test_pip_installs_it_without_a_network(tmp_path):
    folder = write(tmp_path / "package", new.package("objective", "my_loss"))
    venv.create(tmp_path / "environment", with_pip=False, symlinks=True)
    python = tmp_path / "environment" / "bin" / "python"
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], encoding="utf-8"
    ).strip()
    behind = "\n".join(path for path in sys.path if path)  # the packages of this environment, this library among them
    with open(f"{site}/behind.pth", "w", encoding="utf-8") as file:
        file.write(behind)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "-e", folder], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    vlobj_of = [python, "-m", "vlobjectives"]
    listed = subprocess.check_output([*vlobj_of, "plugins"], encoding="utf-8", cwd=tmp_path)
    assert "my-loss" in next(line for line in listed.splitlines() if "my_loss" in line)
    done = subprocess.run([*vlobj_of, "run", folder / "recipe.yaml", "--tiny"], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr
    tests = subprocess.run([python, "-m", "pytest", "-q", folder], cwd=folder, capture_output=True, encoding="utf-8")
    assert tests.returncode == 0, tests.stdout
