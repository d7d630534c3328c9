"""The package of modern objectives: what is installed, its recipes, its lines, its costs on the page."""

import ast
import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_recipes import vlobj
from wheels import unpacked, vlobj_with

from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "examples" / "modern"
OBJECTIVES = sorted(path.stem for path in (PACKAGE / "vlobj_modern").glob("[a-z]*.py"))
RECIPES = sorted((PACKAGE / "recipes").glob("*.yaml"))
LINES = 45


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(PACKAGE, tmp_path_factory.mktemp("modern"))


def test_every_objective_is_listed_where_the_package_is_installed_and_nothing_heavy_is_imported(installed):
    done = vlobj_with(installed, "plugins")
    listed = [line.split()[1] for line in done.stdout.splitlines() if "vlobj-modern" in line]
    assert sorted(listed) == OBJECTIVES
    imported = set(done.stderr.splitlines()[-1].split())
    assert "vlobj_modern" in imported and not imported & {"torch", "timm", "transformers", "vlobj_modern.filip"}


@pytest.mark.slow
def test_pip_installs_it_and_a_recipe_trains(tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", tmp_path / "site", PACKAGE], cwd=tmp_path, check=True)
    vlobj_with(tmp_path / "site", "run", PACKAGE / "recipes" / "cyclip.yaml", "--tiny", "--out", tmp_path / "run")
    assert (tmp_path / "run" / "summary.json").is_file()


def code_lines(path: Path) -> int:
    """Lines of a module without docstrings, comments' own lines and blank ones; an import is a line, however long."""
    text, left_out = path.read_text(encoding="utf-8"), set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.update(range(node.lineno, node.end_lineno + 1))
        elif isinstance(node, ast.ImportFrom):
            left_out.update(range(node.lineno + 1, node.end_lineno + 1))
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return sum(1 for number, line in lines if number not in left_out and line and not line.startswith("#"))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_is_short(name):
    assert code_lines(PACKAGE / "vlobj_modern" / f"{name}.py") <= LINES


@pytest.fixture
def found(installed, monkeypatch) -> None:
    """The package is found in this process as an installed one."""
    monkeypatch.syspath_prepend(installed)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_mixes_with_objectives_of_glscl(recipe, found):
    """Every name and option is one that the installed plug-ins know."""
    resolved = resolve(load(recipe), Registry())
    assert {"itm", "mlm", "mgsc", "mltc"} <= resolved.recipe.objectives.keys()
    assert recipe.stem in {entry.type.rpartition("/")[2] for entry in resolved.recipe.objectives.values()}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains(recipe, found, capsys, tmp_path):
    ended = vlobj(capsys, "run", recipe, "--tiny", "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert any(term.startswith(f"{recipe.stem}/") for term in lines[-1]["terms"])


PAGE = {
    cells[0].split("`")[1]: cells
    for line in (ROOT / "docs" / "modern.md").read_text("utf-8").splitlines()
    if line.startswith("| `")
    for cells in [[cell.strip() for cell in line.strip("|").split("|")]]
}
"""Objective -> its cells on the page."""


def test_the_page_lists_every_objective_with_its_lines():
    built_in = ROOT / "plugins" / "vlobj_common" / "objectives" / "siglip.py"
    files = {"siglip": built_in, **{name: PACKAGE / "vlobj_modern" / f"{name}.py" for name in OBJECTIVES}}
    assert {name: int(cells[2]) for name, cells in PAGE.items() if name != "itc"} == {
        name: code_lines(path) for name, path in files.items()
    }


@pytest.mark.slow
def test_the_page_tells_what_the_benchmark_counts(found, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import modern_costs

    counted = {row["objectives"].split(" + ")[-1]: row for row in modern_costs.rows(PACKAGE / "recipes")}
    told = {name: cells[4:] for name, cells in PAGE.items()}
    assert told == {name: [row["GFLOP a pair"], row["of ITC's"], row["peak memory"]] for name, row in counted.items()}


SWEEP = PACKAGE / "recipes" / "sweeps" / "modern.yaml"


@pytest.mark.slow
@pytest.mark.long
def test_the_sweep_shows_what_silc_and_negclip_change(found, capsys, tmp_path):
    """Five seeds: every score that the page shows has its interval, and matching is learned."""
    ended = vlobj(capsys, "sweep", SWEEP, "--out", tmp_path / "sweep")
    assert ended.code == 0, ended.err
    with (tmp_path / "sweep" / "table.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["row"] for row in rows} == {"base", "silc", "negclip"} and {row["seeds"] for row in rows} == {"5"}
    for row in rows:
        assert float(row["low"]) <= float(row["mean"]) <= float(row["high"]), row
    matching = {row["row"]: row for row in rows if row["score"] == "itm/test/accuracy"}
    assert all(float(row["low"]) > float(row["chance"]) for row in matching.values())
    assert {row["score"].split("/")[0] for row in rows} >= {"probe", "binding", "retrieval"}
