"""What works without the packages of an extra, and what says which extra brings them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from vlobj_data.captions.captions import Captions

from vlobjectives.errors import DataError, PluginError
from vlobjectives.plugin_loading.load import load_target
from vlobjectives.recipe import load
from vlobjectives.recipe.report import Report
from vlobjectives.registry import Registry
from vlobjectives.resolved.entries import names

ROOT = Path(__file__).parents[1]
CLIPS = """\
extends: itc
data: {type: video_captions, manifest: clips.json, batch: 4}
"""


def test_clips_of_files_alone_import_pyav():
    found = {
        path.relative_to(ROOT).as_posix()
        for top in ("vlobjectives", "plugins", "examples", "benchmarks")
        for path in (ROOT / top).rglob("*.py")
        if re.search(r"^ *(import|from) av\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found == {"plugins/vlobj_data/videos/clips.py"}


def test_tables_alone_import_pyarrow():
    named = {
        path.relative_to(ROOT).as_posix()
        for top in ("vlobjectives", "plugins")
        for path in (ROOT / top).rglob("*.py")
        if re.search(r"import.*pyarrow", path.read_text(encoding="utf-8"))
    }
    assert named == {"plugins/vlobj_data/forms/arrow.py"}


def test_a_table_says_how_to_install_pyarrow(monkeypatch, tmp_path):
    """In this process as if it were not there; a Parquet file needs no more than its first bytes to be known."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="pyarrow, which is not installed") as caught:
        Captions(Captions.Config(manifest=str(tmp_path / "a.parquet")))
    assert caught.value.hint == "pip install 'vlobjectives[parquet]'"
    assert str(caught.value.place) == str(tmp_path / "a.parquet")


@pytest.fixture
def no_pyav(monkeypatch):
    """This process as if PyAV were not there."""
    monkeypatch.setitem(sys.modules, "av", None)
    for name in [name for name in sys.modules if name.startswith("vlobj_data.videos")]:
        monkeypatch.delitem(sys.modules, name)


def test_a_source_of_clips_says_at_its_key_how_to_install_pyav(no_pyav, tmp_path):
    path = tmp_path / "clips.yaml"
    path.write_text(CLIPS, encoding="utf-8")
    names(load(path), Registry(), report := Report())
    (problem,) = report.errors
    assert str(problem.place) == f"{path}:2:14" and problem.path == "data.type"
    assert problem.what.startswith("the source 'vlobjectives/video_captions' does not load")
    assert problem.hint == "pip install 'vlobjectives[video]'"
    assert report.code == PluginError.code


def test_recipes_of_pictures_and_drawn_clips_need_no_pyav(no_pyav):
    for recipe in ("glscl", "glscl_video"):
        names(load(recipe), Registry(), report := Report())
        assert not report.errors


def test_discovery_needs_no_pyav():
    """In a process of its own, since this one has imported everything."""
    code = (
        "import sys; sys.modules['av'] = None; import vlobjectives.recipe; from vlobjectives.registry import Registry\n"
        "vlobjectives.recipe.load('glscl'); print(any(row.name == 'video_captions' for row in Registry().all()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "True\n"


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """An installed distribution whose module imports three packages that are not there."""
    about = tmp_path / "birds-0.1.dist-info"
    about.mkdir()
    requires = [
        "beak-io>=2; extra == 'all'",
        "feather; extra == 'all'",
        "beak-io>=2; extra == 'sounds'",
        "plain_wing",
    ]
    lines = ["Metadata-Version: 2.1", "Name: birds", "Version: 0.1", *(f"Requires-Dist: {one}" for one in requires)]
    (about / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)

    def hint(missing: str) -> str:
        (tmp_path / f"bird_{missing}.py").write_text(f"import {missing}.deep\n", encoding="utf-8")
        with pytest.raises(PluginError, match=f"No module named '{missing}'") as caught:
            load_target(f"bird_{missing}:Thing", "the source 'birds/thing'", "birds")
        return caught.value.hint

    return hint


@pytest.mark.parametrize(
    "missing, hint",
    [
        ("beak_io", "pip install 'birds[sounds]'"),
        ("feather", "pip install 'birds[all]'"),
        ("plain_wing", "install plain_wing"),
    ],
)
def test_a_missing_package_is_named_with_the_smallest_extra_that_brings_it(third_party, missing, hint):
    assert third_party(missing) == hint
