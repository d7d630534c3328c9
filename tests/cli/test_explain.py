"""`vlobj plugins NAME|FILE`: a component's options, the host's keys beside them, where it lies, how it is checked."""

import json

import pytest
from small_recipes import plugin, vlobj
from written_packages import installed, write

from vlobjectives.cli import explain, new
from vlobjectives.components import KINDS, PART_KINDS
from vlobjectives.registry import Registry

OWN = """
from pydantic import Field
from vlobjectives import Mask, MaskConfig, Objective, ObjectiveConfig, hookimpl

class MyLoss(Objective):
    '''A loss of my own.'''

    paper = "nowhere"
    group = 4

    class Config(ObjectiveConfig):
        how: str = Field(description="as it is")

class MyMask(Mask):
    '''A mask of my own.'''

@hookimpl
def vlobj_components():
    return {"objective:my_loss": MyLoss, "mask:my_mask": MyMask}
"""


def test_a_local_file_is_explained_as_an_installed_plug_in_is(tmp_path, monkeypatch, capsys):
    plugin(tmp_path, OWN, "my_plug_ins.py")
    monkeypatch.chdir(tmp_path)
    ended = vlobj(capsys, "plugins", "./my_plug_ins.py", "--json")
    loss, mask = json.loads(ended.out)
    assert (loss["kind"], loss["name"], loss["package"], loss["version"]) == ("objective", "my_loss", "my_plug_ins", "")
    assert (loss["summary"], loss["paper"]) == ("A loss of my own.", "nowhere")
    assert loss["options"] == [{"name": "how", "type": "text", "description": "as it is"}]
    keys = {key["name"]: key for key in loss["host_keys"]}
    assert keys.keys() == {"weight", "group", "sources"} and keys["group"]["default"] == 4
    assert "[time, weight] points" in keys["weight"]["description"]
    assert (loss["defined"], loss["checks"]) == ("my_plug_ins.py:5", "vlobj conform my_plug_ins.py how=...")
    assert [key["name"] for key in mask["host_keys"]] == ["stream"]
    shown = vlobj(capsys, "plugins", "./my_plug_ins.py").out
    for words in ("objective my_loss", "host's key", "defined  my_plug_ins.py:5", "vlobj conform", "mask my_mask"):
        assert words in shown


def test_an_installed_package_is_found_by_name(tmp_path, capsys):
    folder = write(tmp_path / "package", new.package("objective", "my_loss"))
    with installed(folder, tmp_path / "site"):
        row = next(line for line in vlobj(capsys, "plugins").out.splitlines() if "my_loss" in line)
        assert row.split() == ["objective", "my_loss", "my-loss", "0.1.0"]
        [data] = json.loads(vlobj(capsys, "plugins", "my_loss", "--json").out)
    assert data["defined"].startswith(str(tmp_path / "site" / "my_loss" / "objective.py:"))
    assert data["checks"] == "vlobj conform objective:my_loss" and data["views"]


@pytest.mark.parametrize(
    "text, what",
    [
        (None, "there is no plug-in file"),
        ("x = 1", "it brings nothing"),
        ("import no_such_module", "No module named 'no_such_module'"),
        (
            "from vlobjectives import hookimpl\n@hookimpl\ndef vlobj_step_ended(step): pass",
            "brings no component; its marked functions watch every run",
        ),
    ],
)
def test_a_file_that_brings_none_is_one_message(text, what, tmp_path, capsys):
    path = plugin(tmp_path, text, "mine.py") if text else tmp_path / "mine.py"
    ended = vlobj(capsys, "plugins", path)
    assert (ended.code, ended.out) == (4, "") and what in ended.err and ended.err.count("hint:") == 1


def test_host_keys_are_all_that_a_config_may_not_have():
    """Of every kind: the keys that are told are those that a Config of the kind is refused."""
    registry = Registry(builtin_only=True)
    for kind in KINDS:
        name = next(iter(registry.names(kind)), None)
        if name is not None:
            cls = registry.get(kind, name)
            keys = explain.host_keys(kind, cls)
            assert {key["name"] for key in keys} | {"type"} | (
                {"mix"} if kind == "source" else set()
            ) == cls.Config.HOST
            assert all(key["description"] for key in keys)
            assert (kind in PART_KINDS) <= (keys == [])
