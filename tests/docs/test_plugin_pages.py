"""docs/plugins: each page's package, exactly as written, is installed, listed, tested and trained; other blocks run."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from small_recipes import vlobj
from written_packages import TWO_PROCESSES, installed, run_tests, write

from vlobjectives import Objective
from vlobjectives.cli import new
from vlobjectives.components import KINDS, PART_KINDS
from vlobjectives.testing import checks_of

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "plugins"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}
PACKAGES = {
    "objective": ("objective", "my_loss"),
    "mask": ("mask", "my_mask"),
    "pairing": ("pairing", "my_pairing"),
    "parts": ("encoder", "my_encoder"),
    "reader": ("reader", "my_reader"),
    "source": ("source", "my_source"),
    "evaluation": ("evaluation", "my_scores"),
    "balancer": ("balancer", "my_balancer"),
    "tracker": ("tracker", "my_tracker"),
}
"""Page -> kind and name of the component whose package it shows."""


def files(page: str) -> dict[str, str]:
    """The blocks of a page that say which file they are."""
    return dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```$', PAGES[page], re.DOTALL | re.MULTILINE))


def other_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGES[page], re.DOTALL | re.MULTILINE)


def test_every_page_shows_a_package():
    assert PACKAGES.keys() | {"index"} == PAGES.keys()


@pytest.mark.parametrize("page", PACKAGES)
def test_a_page_shows_what_the_command_writes(page):
    kind, name = PACKAGES[page]
    written = new.package(kind, name)
    assert files(page) == {path: text for path, text in written.items() if path != "README.md"}
    assert f"`vlobj new {kind} {name}`" in PAGES[page]


@pytest.mark.parametrize("page", PACKAGES)
def test_a_page_leads_from_an_empty_folder_to_a_plug_in(page, tmp_path, monkeypatch, capsys):
    """Two seconds each: the checks, and a run of two steps."""
    kind, name = PACKAGES[page]
    folder = write(tmp_path / name, files(page))
    monkeypatch.chdir(folder)
    with installed(folder, tmp_path / "site"):
        [shown] = json.loads(vlobj(capsys, "plugins", f"{kind}:{name}", "--json").out)
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert (shown["package"], shown["version"]) == (project["name"], project["version"])
        ended = vlobj(capsys, "run", "recipe.yaml", "--tiny", "--out", tmp_path / "run")
        assert ended.code == 0, ended.err
        assert (tmp_path / "run" / "summary.json").is_file()
        assert len(run_tests(folder)) > 1


@pytest.mark.slow  # two processes
def test_the_objective_of_the_page_is_the_same_on_two_processes(tmp_path, monkeypatch):
    folder = write(tmp_path / "my_loss", files("objective"))
    monkeypatch.chdir(folder)
    with installed(folder, tmp_path / "site"):
        assert any(TWO_PROCESSES in name for name in run_tests(folder, processes=True))


@pytest.mark.parametrize("page", [page for page in PAGES if other_blocks(page)])
def test_other_blocks_run_and_their_objectives_pass_the_checks(page):
    names: dict = {}
    for block in other_blocks(page):
        exec(block, names)
    own = [one for one in names.values() if isinstance(one, type) and issubclass(one, Objective)]
    for cls in [one for one in own if one.__module__ == "builtins"]:
        for check in checks_of(cls):
            if check.name != TWO_PROCESSES:
                check()
    assert page != "objective" or {one.__name__ for one in own} >= {"CountWords", "Centred"}


def test_the_index_names_every_kind_and_every_page():
    rows = [line for line in PAGES["index"].splitlines() if line.startswith("| ") and "`" in line]
    assert set(re.findall(r"`(\w+)`", " ".join(row.split("|")[2] for row in rows))) == set(KINDS)
    assert {f"{page}.md" for page in PACKAGES} == set(re.findall(r"\]\((\w+\.md)\)", " ".join(rows)))
    assert all(f"`vlobj new {kind}" in PAGES["parts"] or kind == "encoder" for kind in PART_KINDS)
