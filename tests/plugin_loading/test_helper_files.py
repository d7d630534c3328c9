"""Helper files beside a plug-in file: what imports mean, and what is run."""

import py_compile
import sys

import pytest

from vlobjectives.errors import PluginError
from vlobjectives.registry import Registry

PLUGIN = """
import json
import helper
from .helper import NAME
from pack import deep
import pack.deep as again
from vlobjectives import Objective, hookimpl

class Own(Objective):
    name = NAME, helper.NAME, deep.DEPTH, again.DEPTH

    def later(self):
        import late
        from loose.one import ONE
        return late.helper.NAME, ONE

@hookimpl
def vlobj_components():
    return {"objective:own": Own}
"""


def project(folder, name):
    """A plug-in file with a helper, a package, a folder of files and a helper that only a method imports."""
    for inner in ("pack", "loose"):
        (folder / inner).mkdir(parents=True)
    for path, text in {
        f"{name}.py": PLUGIN,
        "helper.py": f"NAME = '{name}'\n",
        "late.py": "import helper\n",
        "pack/__init__.py": "",
        "pack/deep.py": "from . import more\nDEPTH = more.DEPTH\n",
        "pack/more.py": "DEPTH = 2\n",
        "loose/one.py": "ONE = 1\n",
        "json.py": "raise ValueError\n",
        "other.py": "1 / 0\n",
    }.items():
        (folder / path).write_text(text, encoding="utf-8")
    return folder / f"{name}.py"


def test_two_plug_ins_have_helpers_of_one_name(tmp_path):
    paths = [project(tmp_path / name, name) for name in ("left", "right")]
    before = list(sys.path)
    registry = Registry()
    for path in paths:
        registry.add_file(path)
    for path in paths:
        alone = Registry()
        alone.add_file(path)
        own, name = alone.get("objective", "own"), path.parent.name
        assert own.name == (name, name, 2, 2)
        assert own.later(None) == (name, 1)
    assert sys.path == before
    assert not {"helper", "pack", "late", "loose"} & sys.modules.keys()


def test_only_what_is_imported_goes_along(tmp_path):
    registry, path = Registry(), project(tmp_path, "one")
    assert set(registry.sources(path)) == {
        "one.py",
        "helper.py",
        "late.py",
        "pack/__init__.py",
        "pack/deep.py",
        "pack/more.py",
        "loose/one.py",
    }


def test_a_changed_helper_makes_another_module(tmp_path):
    path = project(tmp_path, "one")
    for name in ("one", "two"):
        (tmp_path / "helper.py").write_text(f"NAME = '{name}'\n", encoding="utf-8")
        registry = Registry()
        registry.add_file(path)
        assert registry.get("objective", "own").name[0] == name


def test_a_compiled_file_is_not_run_in_place_of_the_source(tmp_path):
    path = project(tmp_path, "one")
    helper = tmp_path / "helper.py"
    source = helper.read_bytes()
    helper.write_text("1 / 0\n", encoding="utf-8")
    py_compile.compile(str(helper), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    helper.write_bytes(source)
    registry = Registry()
    registry.add_file(path)
    assert registry.get("objective", "own").name[0] == "one"


def test_what_is_not_there_is_named_with_the_way_out(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("x = 1\nfrom .absent import y\n", encoding="utf-8")
    with pytest.raises(PluginError, match=r"No module named '\.absent'") as caught:
        Registry().add_file(path)
    assert caught.value.place.line == 2 and "put absent.py beside the file" in caught.value.hint


def test_a_helper_that_fails_is_named_with_its_line(tmp_path):
    path = project(tmp_path, "one")
    (tmp_path / "helper.py").write_text("x = 1\n1 / 0\n", encoding="utf-8")
    with pytest.raises(PluginError, match="ZeroDivisionError") as caught:
        Registry().add_file(path)
    assert (caught.value.place.file, caught.value.place.line) == (str(tmp_path / "helper.py"), 2)
