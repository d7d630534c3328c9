"""An entry of another type: what the new type lacks of layers below falls away with a note, in files, on the command
line and in sweeps; null takes any option away; a slip stays an error."""

from pathlib import Path

import pytest

from vlobjectives.errors import Problem, RecipeError
from vlobjectives.recipe import Loaded, load
from vlobjectives.recipe.report import Report
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import absolute
from vlobjectives.resolved.entries import add_files, names
from vlobjectives.resolved.resolved import resolve
from vlobjectives.sweeping.rows import loaded as rows
from vlobjectives.sweeping.sweep_file import read_sweep

OWN = """\
from typing import Any

from pydantic import BaseModel

from vlobjectives import Encoder, PartConfig, hookimpl


class Table(BaseModel, extra="forbid"):
    rows: int = 2


class Mine(Encoder):
    class Config(PartConfig):
        width: int = 7
        stem: int = 3
        limit: int | None = 5
        config: dict[str, Any] = {}
        table: Table = Table()
        shares: dict[str, float | None] = {}


class Other(Encoder):
    class Config(PartConfig):
        width: int = 8
        table: int = 4


@hookimpl
def vlobj_components():
    return {"encoder:mine": Mine, "encoder:other": Other}
"""
BASE = """\
plugins: [own.py]
data: {type: scenes, image_size: 32, samples: 64, batch: 8, micro_batch: 4}
fields:
  caption: {type: byte_pair, size: 400, length: 48}
model:
  vision: {type: timm_vision, patch: 8, width: 32,
           stem: conv}
  text: {type: mine, width: 3, config: {a: 1, b: {c: 2, d: 3}}, table: {rows: 9},
         shares: {a: 0.5}}
objectives: {itc: {weight: 2.0}}
optim: {lr: 1e-3}
run: {steps: 4}
"""


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")


def looked_at(loaded: Loaded) -> tuple[Loaded, Report]:
    """The recipe as commands resolve it, and what stage `names` and the layers say."""
    report, registry = Report(), Registry()
    assert add_files(loaded, registry, report)
    loaded = absolute(loaded, registry)
    names(loaded, registry, report)
    report.add("keys", loaded.layered.notes)
    return loaded, report


def over(text: str, *overrides: str) -> tuple[Loaded, Report]:
    Path("own.yaml").write_text(f"extends: base.yaml\n{text}", encoding="utf-8")
    return looked_at(load("own.yaml", overrides))


def noted(report: Report) -> Problem:
    assert not report.errors, report.errors
    (note,) = report.notes
    return note


def test_what_the_new_type_lacks_falls_away_with_a_note(base):
    loaded, report = over("model: {vision: {type: mine, limit: 6}}\n")
    assert loaded.recipe.model["vision"].options == {"width": 32, "limit": 6}
    note = noted(report)
    assert (str(note.place), note.path) == ("own.yaml:2:24", "model.vision")
    assert note.what == (
        "the type is mine, and was timm_vision: patch: 8 (base.yaml:6) falls away, which mine does not have; "
        "stem: conv (base.yaml:7) falls away, which must be a whole number; width stays"
    )
    assert note.hint == (
        "mine takes width, stem, limit, config, table, shares; `patch: null` beside the type says that it falls away, "
        "without this note"
    )


def test_null_beside_the_type_says_it_without_a_note(base):
    loaded, report = over("model: {vision: {type: mine, patch: null, stem: null, limit: null}}\n")
    assert not report.errors and not report.notes
    assert loaded.recipe.model["vision"].options == {"width": 32, "limit": None}


def test_keys_of_the_host_stay(base):
    loaded, report = over(
        "data: {type: captions, manifest: m.json}\nfields: {caption: {type: hugging_face, name: x}}\n"
    )
    assert not report.errors
    assert [note.path for note in report.notes] == ["data", "fields.caption"]
    data = loaded.recipe.data
    assert (data.batch, data.micro_batch) == (8, 4)
    assert data.options == {"image_size": 32, "manifest": str(Path("m.json").resolve())}
    assert loaded.recipe.fields["caption"].options == {"length": 48, "name": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "model: {vision: {type: mine, depth: 2, patch: null, stem: null}}\n",
        "model:\n  vision: {type: mine, patch: null, stem: null,\n    depth: 2}\n",
    ],
)
def test_what_stands_beside_the_new_type_is_a_slip(base, text):
    _, report = over(text)
    (error,) = report.errors
    assert error.path == "model.vision.depth" and "there is no key 'depth' here" in error.what
    assert error.place.file == "own.yaml" and not report.notes


def test_what_is_written_above_the_new_type_is_a_slip_too(base):
    over("model: {vision: {type: mine}}\n")
    Path("top.yaml").write_text("extends: own.yaml\nmodel: {vision: {patch: 4}}\n", encoding="utf-8")
    _, report = looked_at(load("top.yaml"))
    (error,) = report.errors
    assert (error.path, error.place.file) == ("model.vision.patch", "top.yaml")


def test_what_is_wrong_below_is_wrong_where_the_type_is_the_same(base):
    Path("base.yaml").write_text(BASE.replace("width: 3,", "width: 3, wide: 1,"), encoding="utf-8")
    _, report = over("model: {text: {type: mine}}\n")
    assert [error.path for error in report.errors] == ["model.text.wide"]


@pytest.mark.parametrize("words", [["model.vision.type=mine"], ["model.vision={type: mine}"]])
def test_on_the_command_line(base, words):
    loaded, report = looked_at(load("base.yaml", words))
    assert loaded.recipe.model["vision"].options == {"width": 32}
    assert str(noted(report).place) == "command line"
    both = (["model.vision.depth=2", *words], [*words, "model.vision.depth=2"])
    assert [[error.path for error in looked_at(load("base.yaml", each))[1].errors] for each in both] == [
        ["model.vision.depth"]
    ] * 2


def test_in_a_sweep(base):
    Path("sweep.yaml").write_text(
        "base: base.yaml\nrows:\n  a: {model.vision.type: mine, model.vision.limit: 4}\n"
        "  b: {model.vision.type: mine, model.vision.depth: 2}\nseeds: [0]\n",
        encoding="utf-8",
    )
    (_, one), (_, fits), (_, slips) = rows(read_sweep("sweep.yaml"))
    assert not looked_at(one)[1].notes
    loaded, report = looked_at(fits)
    assert loaded.recipe.model["vision"].options == {"width": 32, "limit": 4}
    assert str(noted(report).place) == "sweep.yaml:3:26"
    (error,) = looked_at(slips)[1].errors
    assert (error.path, error.place.line) == ("model.vision.depth", 4)


def test_a_run_holds_what_is_left(base):
    """Resolving once more changes nothing and says nothing new."""
    loaded = resolve(load("base.yaml", ["model.vision.type=mine"]), Registry()).loaded
    again = resolve(loaded, Registry()).loaded
    assert again.recipe == loaded.recipe and again.layered.notes == loaded.layered.notes


def test_inside_mappings(base):
    """A mapping keeps what fits of it; what stands there of the user's own is held against the new type."""
    loaded, report = over("model: {text: {type: other}}\n")
    assert loaded.recipe.model["text"].options == {"width": 3}
    assert (
        "config: {a: 1, b: {c: 2, d: 3}} (base.yaml:8), shares: {a: 0.5} (base.yaml:9) fall away" in noted(report).what
    )
    assert "table: {rows: 9} (base.yaml:8) falls away, which must be a whole number" in noted(report).what
    _, report = over("model: {text: {type: other, table: null, shares: null, config: {a: 5}}}\n")
    (error,) = report.errors
    assert (error.path, str(error.place)) == ("model.text.config", "own.yaml:2:65")


def test_null_inside_config(base):
    loaded, report = over(
        "model: {text: {config: {a: null, b: {c: null}}, width: null, table: {rows: null}, shares: {a: null}}}\n"
    )
    assert not report.errors and not report.notes
    options = {"config": {"b": {"d": 3}}, "table": {}, "shares": {"a": None}}
    assert loaded.recipe.model["text"].options == options, "a share may be null, what config holds may not"
    loaded, _ = looked_at(load("base.yaml", ["model.text.config.b=null", "model.text.config.a=null"]))
    assert loaded.recipe.model["text"].options["config"] == {}
    loaded, report = over("model: {text: {config: {new: null}, limit: 4}}\n", "model.text.limit=null")
    assert loaded.recipe.model["text"].options["config"]["new"] is None, "there was nothing to take away"
    assert loaded.recipe.model["text"].options["limit"] is None, "null is a value that it takes"


def test_the_default_type_of_a_mix(base):
    """Sources of a mix take the options beside it, but for those that were written for another type."""
    loaded, report = over("data: {type: captions, manifest: m.json, mix: {one: {}, two: {images: pictures}}}\n")
    assert not report.errors and {note.path for note in report.notes} == {"data.mix.one", "data.mix.two"}
    assert {name: sorted(one.options) for name, one in loaded.recipe.sources.items()} == {
        "one": ["image_size", "manifest"],
        "two": ["image_size", "images", "manifest"],
    }


def test_a_mix_of_other_types_takes_nothing_of_the_source_below(base):
    mix = "mix: {one: {type: captions, manifest: m.json}, two: {type: video_captions, manifest: m.json}}"
    loaded, report = over(f"data: {{{mix}}}\n")
    note = noted(report)
    assert (note.path, str(note.place)) == ("data.mix", "own.yaml:2:13")
    assert note.what == (
        "no source of the mix is of type scenes, and what stands beside it falls away: "
        "image_size (base.yaml:2:34), samples (base.yaml:2:47)"
    )
    assert [sorted(one.options) for one in loaded.recipe.sources.values()] == [["manifest"]] * 2
    with pytest.raises(RecipeError, match=r"no source of data\.mix takes 'augment'"):
        over(f"data: {{augment: crop, {mix}}}\n")
