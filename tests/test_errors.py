"""The family of errors: exit codes, messages, and that they cross from a worker process."""

import pickle

import pytest

from vlobjectives import errors
from vlobjectives.errors import Place, PluginError, Problem, RecipeError, VlobjError


def test_exit_codes():
    codes = {
        cls.__name__: cls.code
        for cls in [VlobjError, *VlobjError.__subclasses__()]
        if cls.__module__ == errors.__name__
    }
    assert codes == {
        "VlobjError": 1,
        "RecipeError": 2,
        "DataError": 3,
        "PluginError": 4,
        "NonFiniteError": 5,
        "ResourceError": 6,
        "Stopped": 75,
        "Interrupted": 130,
    }


@pytest.mark.parametrize(
    "place, text",
    [(Place("x.yaml", 12, 5), "x.yaml:12:5"), (Place("x.py", 3), "x.py:3"), (Place("command line"), "command line")],
)
def test_place(place, text):
    assert str(place) == text


def test_recipe_error_prints_every_problem():
    error = RecipeError(
        [
            Problem(
                Place("recipes/x.yaml", 12, 5),
                "objectives.mgsc.image_mask",
                "there is no mask 'droped'",
                "did you mean 'dropped'?",
            ),
            Problem(None, "", "--device nowhere", ""),
            Problem(Place("x.yaml", 1, 1), "masks.idle", "nobody uses it", "", note=True),
        ]
    )
    assert str(error) == (
        "recipes/x.yaml:12:5  objectives.mgsc.image_mask  there is no mask 'droped'\n"
        "    hint: did you mean 'dropped'?\n"
        "--device nowhere\n"
        "note: x.yaml:1:1  masks.idle  nobody uses it"
    )
    assert len(error.problems) == 3 and error.what == "there is no mask 'droped'"


def test_message_of_the_others():
    error = PluginError("it does not load", "install timm", Place("m.py", 3))
    assert str(error) == "m.py:3  it does not load\n    hint: install timm"


@pytest.mark.parametrize(
    "error", [RecipeError.one("what", "hint", Place("f", 1, 2), "a.b"), errors.DataError("what", "hint", Place("f", 1))]
)
def test_errors_survive_pickling(error):
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and type(again) is type(error) and again.place == error.place
