"""The files that a newcomer looks for agree with each other and with the package."""

import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import yaml

import vlobjectives
from vlobjectives import deprecated
from vlobjectives.components import API

ROOT = Path(__file__).parents[1]


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text("pyproject.toml"))["project"]
CITATION = yaml.safe_load(text("CITATION.cff"))
WORKFLOW = yaml.safe_load(text(".github/workflows/ci.yml"))
HEADINGS = re.findall(r"^## \[(.+?)\](?: - (.+))?$", text("CHANGELOG.md"), re.MULTILINE)


def test_one_version():
    """The newest release of the changelog, and its date, are those of the package and of the citation."""
    assert vlobjectives.__version__ == PROJECT["version"] == CITATION["version"]
    assert HEADINGS[0] == ("Unreleased", "")
    assert HEADINGS[1] == (PROJECT["version"], CITATION["date-released"].isoformat())


def test_the_changelog_keeps_its_form():
    releases = [(tuple(map(int, version.split("."))), date.fromisoformat(day)) for version, day in HEADINGS[1:]]
    assert len(releases) > 1 and releases == sorted(releases, reverse=True)
    kinds = re.findall(r"^### (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_every_deprecation_stands_in_the_changelog():
    """Names of Python by their last word, keys of recipes whole; old and new."""
    pairs = [pair for old, renamed in deprecated.NAMES.items() for pair in (old, renamed.new)]
    names = {name.rpartition(".")[2] for name in pairs}
    names |= {name for old, renamed in deprecated.KEYS.items() for name in (old, renamed.new)}
    told = text("CHANGELOG.md")
    missing = sorted(name for name in names if f"`{name}`" not in told)
    assert not missing, f"say under Deprecated what they are called now: {missing}"


def test_citation():
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software" and CITATION["message"]
    assert CITATION["title"] == PROJECT["name"] and CITATION["license"] == PROJECT["license"]
    assert [one["name"] for one in CITATION["authors"]] == [one["name"] for one in PROJECT["authors"]]


def test_the_workflow_runs_what_the_makefile_has():
    commands = [step["run"] for job in WORKFLOW["jobs"].values() for step in job["steps"] if "run" in step]
    assert commands == ["make lint", "make test", "make lowest", "make docs"]
    oldest = PROJECT["requires-python"].removeprefix(">=")
    pythons = WORKFLOW["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert pythons[0] == oldest and all(isinstance(one, str) for one in pythons)  # 3.10 would be a number


def test_pre_commit_runs_tools_of_the_environment():
    hooks = [hook for repo in yaml.safe_load(text(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]]
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format", "mypy"]
    assert {hook["language"] for hook in hooks} == {"system"}


def test_lowest_versions_are_those_of_every_extra():
    """The constraints of `make lowest`: one for each package that pyproject.toml names, and for no other."""
    listed = subprocess.run([sys.executable, ROOT / ".ci/lowest.py"], capture_output=True, encoding="utf-8", check=True)
    wanted = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    names = [re.match(r"[\w.-]+", one)[0] for one in wanted]
    found = [line.partition("==")[0] for line in listed.stdout.splitlines()]
    assert sorted(found) == sorted(set(names) - {PROJECT["name"]})


def test_contributing_says_what_is():
    page = text("CONTRIBUTING.md")
    assert f"`VLOBJ_API = {API}`" in page
    prose = re.sub(r"`[^`]*`", "", page + text("CHANGELOG.md"))
    for path in re.findall(r"\]\(([\w./-]+)\)", prose):
        assert (ROOT / path).exists(), path
    packages = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| `vlobjectives/(.*?`) \|", page, re.MULTILINE))))
    assert all((ROOT / "vlobjectives" / name).exists() for name in packages)


def test_the_test_file_of_contributing_runs(monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", text("CONTRIBUTING.md"), re.DOTALL)
    monkeypatch.chdir(ROOT)
    names: dict = {}
    exec(block, names)
    [mark] = names["test_checks"].pytestmark
    names["test_checks"](mark.args[1][0])
