"""What plug-ins do wrong: a line each, and the rest works; under `--strict-plugins` each is an error."""

import json
import subprocess
import sys
import textwrap

import pytest
from small_recipes import CONTRAST, changed, plugin, vlobj

from vlobjectives.errors import PluginError, PluginWarning
from vlobjectives.plugin_loading.printed import MOST
from vlobjectives.registry import Registry

NAMES = """\
from vlobjectives import hookimpl
{top}
@hookimpl
def vlobj_components():
    {inside}
    return {{"objective:theirs": "a:B"}}
"""
FAULTS = {
    "import": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "tensorflow": ("import tensorflow", "No module named 'tensorflow'"),
    "newer": ("VLOBJ_API = 99", "it asks for plug-in API 99"),
    "older": ("VLOBJ_API = 0", "it was written for plug-in API 0, this vlobjectives takes 1 to 2: upgrade it"),
    "print": ("while True: print('all work and no play')", f"it printed more than {MOST:,} characters in one call"),
    "guarded": (
        "while True:\n    try:\n        print('no play')\n    except Exception:\n        pass",
        f"it printed more than {MOST:,} characters in one call",
    ),
}


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Makes distributions on the path, read by importlib.metadata as installed ones are."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))

    def add(name, top="", inside="pass"):
        module = f"strict_{name}_{tmp_path.name}".replace("-", "_")
        (folder / f"{module}.py").write_text(NAMES.format(top=top, inside=inside), encoding="utf-8")
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[vlobjectives]\nplug = {module}\n", encoding="utf-8")
        return folder

    return add


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_line_and_the_rest_works(site, capsys, fault):
    top, reason = FAULTS[fault]
    site("theirs", top)
    ended = vlobj(capsys, "plugins")
    assert ended.code == 0 and "itc" in ended.out
    assert [line for line in ended.out.splitlines() if reason in line]
    ended = vlobj(capsys, "--strict-plugins", "plugins")
    assert (ended.code, ended.out) == (4, "")
    assert ended.err.splitlines()[-2].startswith("plug-ins that cannot be used: plug of theirs: ")
    assert reason in ended.err and "Traceback" not in ended.err


def test_what_is_printed_while_plug_ins_are_found_leaves_json_as_it_is(site, capsys):
    site("talking", "print('hello from the module')", inside="print('hello from the hook')")
    ended = vlobj(capsys, "plugins", "--json")
    assert any(row["name"] == "theirs" for row in json.loads(ended.out))
    assert ended.err.splitlines() == ["hello from the module", "hello from the hook"]


def test_what_a_plug_in_did_is_a_warning_or_the_error(site, capsys):
    site("dtype", "import torch", inside="torch.set_default_dtype(torch.float64)")
    with pytest.warns(PluginWarning, match="vlobj_components of dtype:plug changed the default dtype"):
        assert vlobj(capsys, "plugins").code == 0
    ended = vlobj(capsys, "--strict-plugins", "plugins")
    assert ended.code == 4 and "changed the default dtype, which was put back" in ended.err


def test_a_local_file_that_changes_the_process(capsys, tmp_path):
    text = """\
    import torch
    from vlobjectives import hookimpl
    torch.set_default_dtype(torch.float64)

    @hookimpl
    def vlobj_step_ended(step):
        pass
    """
    plugin(tmp_path, text)
    path = changed(tmp_path, {"# Small: few objectives.": "plugins: [own.py]"}, text=CONTRAST)
    quick = ("evaluate={losses: false}",)
    ended = vlobj(capsys, "check", path, *quick)
    assert ended.code == 0 and "own.py changed the default dtype, which was put back" in ended.out
    plugin(tmp_path, text + "    # a process runs a file of the same content once\n")
    ended = vlobj(capsys, "--strict-plugins", "check", path, *quick)
    assert ended.code == 4 and "own.py changed the default dtype, which was put back" in ended.err


HOOK = """\
import sys
from vlobjectives import hookimpl

@hookimpl
def vlobj_step_ended(step):
    {deed}
"""


@pytest.mark.parametrize(
    "deed, why",
    [
        ("raise OSError('disk is full')", "OSError: disk is full"),
        ("while True: print('5' * 9999)", "it printed more than"),
    ],
)
def test_a_hook_that_fails_is_switched_off_or_ends_the_run(tmp_path, deed, why):
    """In a process of its own: `--strict-plugins` is a filter of the process's warnings."""
    path = plugin(tmp_path, textwrap.indent(HOOK.format(deed=deed), "    "))
    registry = Registry()
    registry.add_file(path)
    with pytest.warns(PluginWarning, match=f"switched off for this run: vlobj_step_ended raised .*{why}"):
        registry.call_safely("vlobj_step_ended", run=None, step=5, metrics={})
    registry.call_safely("vlobj_step_ended", run=None, step=6, metrics={})  # it is not called again
    code = (
        "import sys; from vlobjectives.cli.options import Options\n"
        "registry = Options(strict_plugins=True).registry(); registry.add_file(sys.argv[1])\n"
        "registry.call_safely('vlobj_step_ended', run=None, step=5, metrics={})"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, encoding="utf-8")
    assert ended.returncode == 1 and "PluginWarning" in ended.stderr and why in ended.stderr


def test_a_warning_is_an_error_of_the_family():
    assert issubclass(PluginWarning, PluginError) and PluginWarning("what").code == 4
