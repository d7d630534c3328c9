"""Old keys and values of recipes mean the new ones wherever they are written, and a note says so at that place."""

import json

import pytest
from trial_runs import RECIPE

from vlobjectives import deprecated
from vlobjectives.cli import main
from vlobjectives.deprecated import Renamed
from vlobjectives.errors import RecipeError
from vlobjectives.recipe import dump, known_keys, load
from vlobjectives.recipe.renamed import renewed_name
from vlobjectives.run_folder import RunFolder
from vlobjectives.runs import resume
from vlobjectives.sweeping.rows import loaded
from vlobjectives.sweeping.sweep_file import read_sweep

OLD = "plan: {share: none, authors: [[itc], [mlm]]}\n"


@pytest.fixture
def tiny(write):
    def tiny(more: str = "", name: str = "tiny.yaml"):
        return write(RECIPE + more, name)

    return tiny


def told(found) -> list[str]:
    return [str(one) for one in found.layered.notes]


def note(where: str, old: str = "plan.authors", new: str = "plan.published") -> str:
    return f"note: {where}  {old}  this key is now {new}; the old name ends in 0.3\n    hint: write {new}"


def test_in_a_file_and_in_what_it_extends(tiny, write):
    path = tiny(OLD)
    found = load(path)
    assert found.recipe.plan.published == (("itc",), ("mlm",)) and found.recipe.plan.share == "none"
    assert told(found) == [note(f"{path}:{path.read_text(encoding='utf-8').count(chr(10))}:21")]
    assert load(tiny(OLD.replace("authors", "published"))).recipe.plan == found.recipe.plan
    path = tiny(OLD)
    over = load(write("extends: tiny.yaml\nplan: {published: [[itm]]}\n"))
    assert over.recipe.plan.published == (("itm",),) and len(told(over)) == 1
    assert over.place("plan", "published").file.endswith("small.yaml")


@pytest.mark.parametrize(
    "override, groups",
    [
        ("plan.authors=[[itm]]", (("itm",),)),
        ("plan.authors.1=[itm, itc]", (("itc",), ("itm", "itc"))),
        ("plan={authors: [[itm]]}", (("itm",),)),
    ],
)
def test_on_the_command_line(tiny, override, groups):
    found = load(tiny(OLD.replace("authors", "published")), [override])
    assert found.recipe.plan.published == groups
    assert told(found) == [note("command line")]


def test_in_a_sweep(tiny, write):
    tiny()
    path = write(
        """\
        base: tiny.yaml
        change: {plan.authors: [[itc]]}
        rows:
          other: {plan.authors: [[mlm]]}
        grid: {plan.authors: [[[itm]]]}
        seeds: [0]
        """,
        "sweep.yaml",
    )
    found = {row.name: recipe for row, recipe in loaded(read_sweep(path))}
    groups = {name: one.recipe.plan.published for name, one in found.items()}
    assert list(groups.values()) == [(("itc",),), (("mlm",),), (("itm",),)]
    assert told(found["base"]) == [note(f"{path}:2:10")]
    assert told(found["other"]) == [note(f"{path}:2:10"), note(f"{path}:4:11")]


def test_check_shows_the_note(tiny, capsys):
    path = tiny(OLD)
    path.write_text(path.read_text(encoding="utf-8").replace("type: scenes", "type: scene"), encoding="utf-8")
    assert main(["check", str(path)]) == 2  # no such source, which ends the check early
    assert "plan.authors  this key is now plan.published; the old name ends in 0.3" in capsys.readouterr().out


def test_in_a_run_folder(tiny, tmp_path):
    """A run of an earlier release: recipe.yaml and the manifest say it in the old words, and nothing has changed."""
    recipe = load(tiny(OLD)).recipe
    place = RunFolder(tmp_path / "run")
    place.path.mkdir()
    old = dump(recipe).replace("published", "authors")
    place.write_text("recipe.yaml", old)
    place.write("manifest.json", {"recipe": json.loads(recipe.model_dump_json().replace("published", "authors"))})
    assert resume.as_noted(place, pytest.fail).plan == recipe.plan
    found = load(place.path)
    assert found.recipe.plan == recipe.plan and len(told(found)) == 1
    assert renewed_name("plan.authors.0") == "plan.published.0" and renewed_name("plan.share") == "plan.share"


def test_old_and_new_together_are_refused(tiny):
    with pytest.raises(RecipeError, match=r"old name of plan\.published, which stands here too\n *hint: leave authors"):
        load(tiny("plan: {authors: [[itc]], published: [[itc]]}\n"))


def test_nothing_behind_an_old_key(tiny):
    with pytest.raises(RecipeError, match=r"plan\.published  null must be a list\n *hint: published: \[\]"):
        load(tiny("plan:\n  authors:\n"))


def test_a_wrong_value_is_said_at_the_old_key(tiny):
    with pytest.raises(RecipeError, match=r"tiny\.yaml:\d+:17  plan\.published  3 must be a list"):
        load(tiny("plan: {authors: 3}\n"))


@pytest.mark.parametrize("override", ["run.sharing=none", "run={sharing: none}"])
def test_a_key_that_moved_to_another_section(tiny, monkeypatch, override):
    monkeypatch.setitem(deprecated.KEYS, "run.sharing", Renamed("plan.share", "0.3"))
    found = load(tiny(), [override])
    assert found.recipe.plan.share == "none" and found.recipe.run.steps == 14
    assert told(found) == [note("command line", "run.sharing", "plan.share")]
    found = load(tiny().with_name("tiny.yaml"), [])
    text = RECIPE.replace("run: {", "run: {sharing: none, ")
    found.path.write_text(text, encoding="utf-8")
    assert load(found.path).recipe.plan.share == "none"
    found.path.write_text(text + "plan: 3\n", encoding="utf-8")
    with pytest.raises(RecipeError, match="plan  3 must be a mapping"):
        load(found.path)


def test_a_key_of_every_entry_and_a_value(tiny, monkeypatch):
    monkeypatch.setitem(deprecated.KEYS, "objectives.*.factor", Renamed("objectives.*.weight", "0.3"))
    monkeypatch.setitem(deprecated.VALUES, ("run.gradient", "local"), Renamed("published", "0.3"))
    path = tiny()
    path.write_text(RECIPE.replace("itc: {}", "itc: {factor: 0.5}"), encoding="utf-8")
    found = load(path, ["objectives.mlm.factor=0.25", "run.gradient=local"])
    weights = {name: entry.weight for name, entry in found.recipe.objectives.items()}
    assert (weights["itc"], weights["mlm"]) == (0.5, 0.25) and found.recipe.run.gradient == "published"
    assert told(found)[1:] == [
        note("command line", "objectives.mlm.factor", "objectives.mlm.weight"),
        "note: command line  run.gradient  'local' is now 'published'; the old value ends in 0.3\n"
        "    hint: write run.gradient=published",
    ]


def test_every_new_key_of_the_table_is_one():
    for renamed in deprecated.KEYS.values():
        path = tuple(renamed.new.split("."))
        assert "*" in path or known_keys.field(path) is not None, renamed.new
