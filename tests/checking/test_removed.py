"""Something is taken out of a recipe by null: one message names all that must go with it, with the lines to write."""

import re
import shlex

import pytest
from small_recipes import SMALL, vlobj

from vlobjectives.checking.references import references
from vlobjectives.recipe import Loaded, load
from vlobjectives.recipe.report import Report
from vlobjectives.registry import Registry
from vlobjectives.resolved.entries import names
from vlobjectives.sweeping.rows import loaded
from vlobjectives.sweeping.sweep_file import read_sweep

EXTRA = {
    "evaluate: {retrieval: {gallery: 16}}": "plan: {published: [[itc, mlm]], checkpoint: [fusion]}\n"
    "evaluate: {retrieval: {gallery: 16}, words: {}, completion: {count: 4}}",
    'groups: [{match: "model.fusion.*", lr: 2.0}]': 'groups: [{match: "model.words.*", lr: 2.0}, '
    '{match: "objectives.itm.*", lr: 2.0}]',
}


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = SMALL
    for old, new in EXTRA.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "base.yaml").write_text(text, encoding="utf-8")


def lines(err: str) -> str:
    assert err.count("hint: ") == 1, err
    return re.search(r"hint: take away too: (.*)", err)[1]


def looked_at(recipe: Loaded) -> Report:
    """Stages `names` and `references`."""
    report = Report()
    report.add("references", references(recipe, names(recipe, Registry(), report), report))
    return report


@pytest.mark.parametrize(
    ("out", "also"),
    [
        (("objectives.mlm=null",), ("evaluate.words=null",)),
        (("objectives.mltc=null",), ("evaluate.completion.local_of=null",)),
        (("objectives.mgsc=null", "objectives.mltc=null"), ("evaluate.completion=null",)),
        (("model.words=null",), ("objectives.mlm=null", "evaluate.words=null")),
        (("masks.dropped=null",), ("objectives.mgsc=null", "objectives.mltc=null", "evaluate.completion=null")),
        (("pairings.others=null",), ("objectives.itm=null",)),
        (("model.fusion=null",), ("objectives.itm=null",)),
    ],
)
def test_on_the_command_line(out, also, base):
    (problem,) = looked_at(load("base.yaml", out)).errors
    more = shlex.split(problem.hint.removeprefix("take away too: "))
    assert set(also) <= set(more)
    assert not looked_at(load("base.yaml", [*out, *more])).errors


def test_in_a_file(base, tmp_path, capsys):
    (tmp_path / "own.yaml").write_text("extends: base.yaml\nobjectives: {mlm: null}\n", encoding="utf-8")
    ended = vlobj(capsys, "check", "own.yaml")
    assert "own.yaml:2:19  objectives.mlm  objectives.mlm is taken away, and evaluate.words" in ended.err
    with (tmp_path / "own.yaml").open("a", encoding="utf-8") as file:
        file.write(lines(ended.err) + "\n")
    assert not looked_at(load("own.yaml")).errors


def test_in_a_sweep(base, tmp_path):
    (tmp_path / "sweep.yaml").write_text(
        "base: base.yaml\nrows: {a: {objectives.mlm: null}}\nseeds: [0]\n", encoding="utf-8"
    )
    _, (_, row) = loaded(read_sweep("sweep.yaml"))
    (problem,) = looked_at(row).errors
    assert problem.hint == "take away too: evaluate.words: null"


def test_a_published_schedule_stops_nothing(base, tmp_path, capsys):
    path = tmp_path / "base.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("[[itc, mlm]]", "[[itc, mlx, ic]]"), encoding="utf-8")
    note = str(looked_at(load("base.yaml")).notes[0])
    assert "plan.published.0.1  there is no objective 'mlx' in this recipe" in note and "did you mean 'mlm'?" in note
    assert vlobj(capsys, "plan", "base.yaml", "--json").code == 0


def test_a_line_that_was_deleted(base, tmp_path, capsys):
    path = tmp_path / "base.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  mlm: {mask: hidden_words}\n", ""), encoding="utf-8")
    err = vlobj(capsys, "check", "base.yaml").err
    assert "evaluate.words.of" in err and "leave out what names it" in err and "add under objectives" in err
