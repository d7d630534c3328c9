"""Old public names of Python: each goes on to work for one release, and says what it is called now."""

import warnings
from importlib import import_module
from pkgutil import resolve_name

import pytest
from packaging.version import Version

import vlobjectives
from vlobjectives import deprecated


def test_an_old_name_works_with_a_warning_at_the_line_that_uses_it(monkeypatch):
    monkeypatch.setitem(deprecated.NAMES, "vlobjectives.Heap", deprecated.Renamed("vlobjectives.Batch", "0.3"))
    with pytest.warns(DeprecationWarning) as told:
        from vlobjectives import Heap
    assert Heap is vlobjectives.Batch
    assert str(told[0].message) == "vlobjectives.Heap is now vlobjectives.Batch; the old name ends in 0.3"
    assert told[0].filename == __file__
    with pytest.warns(DeprecationWarning, match=r"vlobjectives\.Batch"):
        assert vlobjectives.Heap is vlobjectives.Batch


def test_names_of_now_warn_of_nothing_and_others_are_none():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert vlobjectives.Batch.__name__ == "Batch"
        with pytest.raises(AttributeError, match="module 'vlobjectives' has no attribute 'Heap'"):
            _ = vlobjectives.Heap


@pytest.mark.parametrize("old", deprecated.NAMES)
def test_every_old_name_of_the_table_is_the_new_one(old):
    module, _, name = old.rpartition(".")
    with pytest.warns(DeprecationWarning, match=old):
        found = getattr(import_module(module), name)
    assert found is resolve_name(deprecated.NAMES[old].new)


def test_no_name_has_outlived_its_release():
    release = Version(vlobjectives.__version__)
    tables = (deprecated.NAMES, deprecated.KEYS, deprecated.VALUES)
    late = [old for table in tables for old, one in table.items() if Version(one.ends) <= release]
    assert not late, f"take these out of vlobjectives/deprecated.py: {late}"
