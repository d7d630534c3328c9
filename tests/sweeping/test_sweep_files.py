"""Sweep files: what their rows are, and what is said of wrong ones, with line and hint."""

from pathlib import Path

import pytest
from trial_runs import RECIPE

from vlobjectives.errors import RecipeError
from vlobjectives.sweeping.rows import loaded
from vlobjectives.sweeping.sweep import check_metrics
from vlobjectives.sweeping.sweep_file import names, read_sweep

GOOD = """\
base: tiny.yaml
change: {run.steps: 8}
rows:
  slow: {optim.lr: 1e-4}
seeds: [0, 1]
metrics: [losses/test/itc/contrast]
"""


@pytest.fixture
def write(tmp_path):
    (tmp_path / "tiny.yaml").write_text(RECIPE, encoding="utf-8")

    def write(text: str = GOOD) -> Path:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def rows(path: Path, *overrides: str) -> dict:
    return {row.name: recipe for row, recipe in loaded(read_sweep(path), overrides)}


def test_rows(write):
    found = rows(write(GOOD + "grid: {optim.lr: [1e-2, 2e-3], objectives.mlm.weight: [0.5]}\ndrop_one: objectives\n"))
    assert list(found) == [
        "base",
        "slow",
        "lr=0.01,weight=0.5",
        "lr=0.002,weight=0.5",
        "without_itc",
        "without_mlm",
        "without_itm",
    ]
    assert found["base"].recipe.optim.lr == 1e-3 and found["slow"].recipe.optim.lr == 1e-4
    assert found["lr=0.002,weight=0.5"].recipe.objectives["mlm"].weight == 0.5
    assert [found[f"without_{name}"].recipe.objectives[name].weight for name in ("itc", "mlm", "itm")] == [0, 0, 0]
    assert {one.recipe.run.steps for one in found.values()} == {8}
    assert {one.recipe.run.steps for one in rows(write(), "run.steps=9").values()} == {9}


def test_balancers_are_rows():
    """Of the shipped sweep: one without, weights by hand, and each of the built-in ones."""
    found = {row.name: recipe.recipe.balance for row, recipe in loaded(read_sweep("loss_balance"))}
    assert {name: one and one.type for name, one in found.items()} == {
        "base": None,
        "by_hand": None,
        "uncertainty": "uncertainty",
        "gradnorm": "gradnorm",
        "pcgrad": "pcgrad",
    }


def test_rows_add_and_take_away_entries(write):
    path = write(
        GOOD.replace(
            "{optim.lr: 1e-4}",
            "{masks.few: {type: random_tokens, ratio: 0.1}, "
            "objectives.mlm.mask: few, objectives.itm: null, pairings: {others: null}}",
        )
    )
    recipe = rows(path)["slow"].recipe
    assert recipe.masks["few"].options == {"ratio": 0.1} and recipe.objectives["mlm"].options == {"mask": "few"}
    assert "itm" not in recipe.objectives and not recipe.pairings


def test_grid_keys_with_the_same_last_word(write):
    found = rows(write(GOOD + "grid: {objectives.mlm.weight: [0.5], objectives.itc.weight: [2, 3]}\n"))
    assert list(found)[2:] == ["mlm.weight=0.5,itc.weight=2", "mlm.weight=0.5,itc.weight=3"]


def test_paths_count_from_the_sweep_file(write, tmp_path, monkeypatch):
    file = read_sweep(write(GOOD.replace("slow: {optim.lr: 1e-4}", "slow: {plugins: [own.py]}") + "out: ../runs\n"))
    monkeypatch.chdir("/")
    assert file.out == (tmp_path / "../runs").resolve()
    assert loaded(file)[1][1].recipe.plugins == (str(tmp_path / "own.py"),)


def test_shipped_sweeps_load():
    assert "glscl_ablation" in names() and "glscl_ablation_small" in names()
    for name in names():
        file = read_sweep(name)
        assert len(loaded(file)) > 1 and file.out == Path.cwd() / "runs" / name
        check_metrics(file, loaded(file))


WRONG = {
    "no base": ("base: tiny.yaml\n", "", 1, "base", "the key 'base' is missing", "a shipped recipe's name, or a file"),
    "unknown base": ("tiny.yaml", "glsc", 1, "base", "there is no recipe 'glsc'", "did you mean 'glscl'?"),
    "base file": ("tiny.yaml", "tini.yaml", 1, "base", "there is no file tini.yaml", "`base` counts from"),
    "unknown key": ("rows:", "row:", 3, "row", "there is no key 'row' here", "did you mean 'rows'?"),
    "no seeds": ("seeds: [0, 1]\n", "", 1, "seeds", "the key 'seeds' is missing", "such as [0, 1, 2]"),
    "one seed": ("[0, 1]", "3", 5, "seeds", "3 must be a list", "each row is trained once with each"),
    "a seed twice": ("[0, 1]", "[0, 1, 0]", 5, "seeds.2", "seed 0 stands here twice", "keep one of the two"),
    "no number": ("[0, 1]", "[0, one]", 5, "seeds.1", '"one" must be a whole number', "each row is trained once"),
    "a row that is no mapping": ("{optim.lr: 1e-4}", "fast", 4, "rows.slow", '"fast" must be a mapping', ""),
    "a row called base": ("slow:", "base:", 4, "rows.base", "'base' is the row that changes nothing", "another name"),
    "a row's name": ("slow:", "1e-4 slow:", 4, "rows.1e-4 slow", "'1e-4 slow' is no name", "letters, digits and _"),
    "a key that no recipe has": (
        "{optim.lr: 1e-4}",
        "{optim.lrr: 1e-4}",
        4,
        "optim.lrr",
        "row slow: there is no key 'lrr' in optim",
        "did you mean optim.lr?",
    ),
    "a value that no recipe takes": (
        "{optim.lr: 1e-4}",
        "{optim.lr: fast}",
        4,
        "optim.lr",
        'row slow: "fast" must be a number',
        "learning rate",
    ),
    "an entry that is not there": (
        "{optim.lr: 1e-4}",
        "{objectives.mgsc: null}",
        4,
        "objectives.mgsc",
        "row slow: null takes away",
        "leave it out",
    ),
    "what all change": ("{run.steps: 8}", "{run.stops: 8}", 2, "run.stops", "there is no key 'stops'", "run.steps"),
    "a misspelt entry": (
        "{optim.lr: 1e-4}",
        "{objectives.itn: null}",
        4,
        "objectives.itn",
        "row slow: null takes away",
        "did you mean 'itm'?",
    ),
    "a row's own seed": ("{optim.lr: 1e-4}", "{seed: 3}", 4, "rows.slow.seed", "none has a seed of its own", "seeds:"),
    "a grid of seeds": ("seeds:", "grid: {seed: [3, 4]}\nseeds:", 5, "grid.seed", "none has a seed of its own", ""),
    "a grid without values": ("seeds:", "grid: {optim.lr: []}\nseeds:", 5, "grid.optim.lr", "[] must be longer", ""),
    "a grid of one value": ("seeds:", "grid: {optim.lr: 1}\nseeds:", 5, "grid.optim.lr", "1 must be a list", ""),
    "drop what": ("seeds:", "drop_one: masks\nseeds:", 5, "drop_one", "\"masks\" must be one of 'objectives'", ""),
    "two rows of one name": (
        "seeds:",
        "grid: {optim.clip: [0.5, 5e-1]}\nseeds:",
        5,
        "grid",
        "two rows would be named 'clip=0.5'",
        "under `rows`",
    ),
    "a score of no row": ("losses/test/itc", "loses/test/itc", 6, "metrics.0", "no row has a score loses", "losses"),
    "a score without a split": (
        "losses/test/itc/contrast",
        "losses/contrast",
        6,
        "metrics.0",
        "no row has a score",
        "EVALUATION/SPLIT/NAME",
    ),
    "broken YAML": ("seeds: [0, 1]", "seeds: [0, 1", 6, "", "", "look at brackets"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_sweep_files(write, kind):
    old, new, line, path, what, hint = WRONG[kind]
    assert GOOD.count(old) == 1
    with pytest.raises(RecipeError) as caught:
        file = read_sweep(write(GOOD.replace(old, new)))
        check_metrics(file, loaded(file))
    problem = caught.value.problems[0]
    assert problem.place.file.endswith("mine.yaml") and problem.place.line == line, problem
    assert problem.path == path and what in problem.what and hint in problem.hint, problem


def test_seeds_stand_in_the_file(write):
    with pytest.raises(RecipeError, match="none has a seed of its own"):
        rows(write(), "seed=3")


def test_problems_of_all_rows_are_told_together(write):
    with pytest.raises(RecipeError) as caught:
        rows(write(GOOD.replace("seeds:", "  odd: {optim.lr: -1}\n  even: {run.steps: 0}\nseeds:")))
    assert [problem.what.split(":")[0] for problem in caught.value.problems] == ["row odd", "row even"]


@pytest.mark.parametrize(
    ("word", "what"),
    [("nothing.yaml", "there is no file nothing.yaml"), ("glscl_ablaton", "there is no sweep 'glscl_ablaton'")],
)
def test_sweeps_that_are_not_there(word, what):
    with pytest.raises(RecipeError, match=what) as caught:
        read_sweep(word)
    assert word.endswith(".yaml") or "did you mean 'glscl_ablation'?" in str(caught.value)
