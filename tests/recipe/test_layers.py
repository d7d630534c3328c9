"""Layers: how one lies over another, and that every value keeps the place where it was written."""

from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlobjectives.errors import Place, RecipeError
from vlobjectives.recipe.dump import dump_data
from vlobjectives.recipe.layers import Layered, layer
from vlobjectives.recipe.recipes import find
from vlobjectives.recipe.yaml import parse

KEYS = st.sampled_from("abcd")
PLAIN = st.one_of(st.integers(0, 9), st.text("xyz", max_size=2), st.lists(st.integers(0, 9), max_size=2))
WITHOUT_NULL = st.recursive(PLAIN, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
WITH_NULL = st.recursive(
    st.one_of(st.none(), PLAIN), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
LAYER, NULL_LAYER = (st.dictionaries(KEYS, value, max_size=4) for value in (WITHOUT_NULL, WITH_NULL))


def merged(*layers: dict) -> Layered:
    layered = Layered()
    for number, data in enumerate(layers):
        layered.put((), parse(dump_data(data), str(number)))
    return layered


def expected(base: dict, over: dict) -> dict:
    """The rule in the words of the docstring, written a second time and without places."""
    result = deepcopy(base)
    for key, value in over.items():
        below = base.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            result[key] = expected(below, value)
        elif value is None and below is not None:
            result.pop(key)
        else:
            result[key] = value
    return result


def paths(value, path=()):
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*path, key))


@given(NULL_LAYER, NULL_LAYER, NULL_LAYER)
def test_merging_follows_the_rule(one, two, three):
    assert merged(one, two, three).data == expected(expected(one, two), three)


@given(NULL_LAYER)
def test_nothing_changes_nothing(one):
    assert merged(one, {}).data == merged({}, one).data == one


@given(LAYER)
def test_a_layer_over_itself_is_itself(one):
    assert merged(one, one).data == one


@given(NULL_LAYER, NULL_LAYER)
def test_every_value_and_nothing_else_has_a_place_in_its_layer(one, two):
    layered = merged(one, two)
    assert set(layered.spots) == set(paths(layered.data))
    for path, spot in layered.spots.items():
        value = layered.at(path)
        if not isinstance(value, dict):  # a mapping may be of both
            source = [one, two][int(spot.value.file)]
            for key in path:
                source = source[key]
            assert source == value


def test_places_after_a_merge():
    layered = merged({"a": {"x": 1, "y": [1, 2, 3]}}, {"a": {"y": [4], "z": 5}})
    assert layered.data == {"a": {"x": 1, "y": [4], "z": 5}}
    files = {".".join(map(str, path)): spot.value.file for path, spot in layered.spots.items() if path}
    assert files == {"a": "0", "a.x": "0", "a.y": "1", "a.y.0": "1", "a.z": "1"}
    assert layered.spot(("a", "x", "deeper", 3)) == layered.spots[("a", "x")]


def test_an_entry_of_another_type_is_remembered_and_keeps_what_lies_below_it():
    """What the new type takes of it only its Config can tell."""
    base = {
        "data": {"type": "scenes", "samples": 4, "batch": 2},
        "masks": {"a": {"type": "x", "ratio": 1}, "b": {"type": "x"}},
        "fields": {"caption": {"size": 9}, "tags": {"type": "x", "size": 9}},
    }
    over = {
        "data": {"type": "captions"},
        "masks": {"a": {"type": "y"}, "b": {"type": "x"}},
        "fields": {"caption": {"type": "caption", "length": 3}, "tags": {"type": "y"}},
    }
    layered = merged(base, over)
    assert layered.data == {
        "data": {"type": "captions", "samples": 4, "batch": 2},
        "masks": {"a": {"type": "y", "ratio": 1}, "b": {"type": "x"}},
        "fields": {"caption": {"size": 9, "type": "caption", "length": 3}, "tags": {"type": "y", "size": 9}},
    }
    assert {path: one.before for path, one in layered.retyped.items()} == {
        ("data",): "scenes",
        ("masks", "a"): "x",
        ("fields", "tags"): "x",
    }
    assert merged(base, over, {"masks": {"a": None}}, {"masks": {"a": {"type": "z"}}}).retyped.keys() == {
        ("data",),
        ("fields", "tags"),
    }


def test_a_mix_is_a_type_of_data():
    base = {"data": {"type": "x", "batch": 2, "mix": {"one": {}, "two": {"type": "y"}}}}
    for over, data in (
        ({"type": "z"}, {"type": "z", "batch": 2}),
        ({"mix": {"three": {}}, "type": "z"}, {"type": "z", "batch": 2, "mix": {"three": {}}}),
        ({"type": "x"}, base["data"]),
        ({"mix": {"one": None}}, {"type": "x", "batch": 2, "mix": {"two": {"type": "y"}}}),
    ):
        layered = merged(base, {"data": over})
        assert layered.data["data"] == data
        assert [note.path for note in layered.notes] == ["data.mix"] * (over.get("type") == "z")


def test_null_takes_any_key_away_that_has_no_null_among_its_values():
    base = {
        "data": {"batch": 8, "micro_batch": 4, "mix": {"a": {"rename": {"x": "y", "z": "w"}}}},
        "optim": {"lr": 1.0, "clip": 2.0, "betas": [0.5, 0.5]},
        "evaluate": {"losses": True, "every": {"steps": 2}, "probe": True},
        "objectives": {"o": {"weight": 3, "own": 4}},
    }
    over = {
        "data": {"batch": None, "micro_batch": None, "mix": {"a": {"rename": {"x": None}}}},
        "optim": {"clip": None, "betas": None},
        "evaluate": {"losses": None, "every": None, "probe": None},
        "objectives": {"o": {"weight": None, "own": None}},
    }
    layered = merged(base, over)
    assert layered.data == {
        "data": {"micro_batch": None, "mix": {"a": {"rename": {"z": "w"}}}},
        "optim": {"lr": 1.0, "clip": None},
        "evaluate": {"losses": None, "probe": None},
        "objectives": {"o": {"own": None}},  # whether its plug-in takes null is not known yet
    }
    assert layered.nulls.keys() == {("objectives", "o", "own")}
    assert merged({}, over).data == over


def at(folder: Path, path: Path) -> Layered:
    return layer(folder / path, find)


def test_extends_by_path_and_by_name(write, tmp_path, monkeypatch):
    monkeypatch.setattr("vlobjectives.recipe.recipes.folder", lambda: tmp_path / "shipped")
    write("a: 1\nm: {x: {}, y: {}}\n", "shipped/root.yaml")
    write("extends: root\nb: 2\nm: {x: null}\n", "lib/base.yaml")
    write("extends: ../lib/base.yaml\nb: 3\nc: data/x\n", "mine/top.yaml")
    layered = at(tmp_path, "mine/top.yaml")
    assert layered.data == {"a": 1, "m": {"y": {}}, "b": 3, "c": "data/x"}
    assert layered.base(("c",)) == tmp_path / "mine" and layered.base(("a",)) == tmp_path / "shipped"
    assert layered.base(("nowhere",)) == tmp_path / "mine"


def test_files_are_called_as_seen_from_the_working_folder(write, tmp_path, monkeypatch):
    write("a: 1\n", "lib/base.yaml")
    write("extends: lib/base.yaml\nb: 2\n", "top.yaml")
    monkeypatch.chdir(tmp_path)
    layered = at(Path(), "top.yaml")
    assert layered.spots[("a",)].key == Place("lib/base.yaml", 1, 1)
    assert layered.spots[("b",)].value == Place("top.yaml", 2, 4)


@pytest.mark.parametrize(
    "text, what, hint",
    [
        ("extends: b.yaml", "recipes extend each other in a circle: a.yaml -> b.yaml -> a.yaml", "leave one"),
        ("extends: a.yaml", "in a circle: a.yaml -> a.yaml", "leave one"),
        ("extends: absent.yaml", "there is no file absent.yaml", "`extends` counts from"),
        ("extends: no_such_recipe", "there is no recipe 'no_such_recipe'", "a file ends in .yaml"),
        ("extends: [b.yaml]", "`extends` takes one recipe", "extends: glscl"),
    ],
)
def test_extends_that_fail(write, tmp_path, text, what, hint):
    write("x: 1\nextends: a.yaml", "b.yaml")
    write(text, "a.yaml")
    with pytest.raises(RecipeError) as caught:
        at(tmp_path, "a.yaml")
    (problem,) = caught.value.problems
    assert what in problem.what and hint in problem.hint
    assert problem.path == "extends" and problem.place.line in (1, 2) and problem.place.column == 10


def test_a_fault_in_the_extended_file_names_that_file(write, tmp_path):
    write("a: .inf", "b.yaml")
    with pytest.raises(RecipeError, match=r"b\.yaml:1:4  a  \.inf: numbers must be finite"):
        at(tmp_path, write("extends: b.yaml", "a.yaml"))
