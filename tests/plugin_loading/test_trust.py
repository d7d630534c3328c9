"""Plug-in files of a run folder: they go along with it, and a stranger's are not run unasked."""

import json
import shutil
import stat

import pytest
from PIL import Image
from small_recipes import plugin, vlobj

import vlobjectives
from vlobjectives.cli import main
from vlobjectives.errors import PluginError
from vlobjectives.plugin_loading import trust

RECIPE = """\
plugins: [own.py]
data: {type: scenes, image_size: 32, samples: 16, val: 8, test: 8, test_new: 0, batch: 8}
fields:
  caption: {type: byte_pair, size: 300, length: 32}
model:
  vision: {type: timm_vision, patch: 16, width: 32, depth: 1, heads: 2}
  text:
    type: hf_text
    config: {model_type: bert, hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64}
  joint: {type: projection, width: 32}
objectives: {own: {}}
optim: {lr: 1e-3}
run: {steps: 1, device: cpu, precision: fp32}
evaluate: {losses: true}
"""
PLUGIN = """\
    import helper
    from vlobj_common.objectives.itc import ITC
    from vlobjectives import hookimpl

    class Own(ITC):
        pass

    @hookimpl
    def vlobj_components():
        return {"objective:own": Own}
    """


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A project of a plug-in file and a helper, which leaves the file `ran` when it is run; its run; the record."""
    folder = tmp_path_factory.mktemp("whole")
    project = folder / "project"
    project.mkdir()
    plugin(project, PLUGIN)
    (project / "helper.py").write_text(f"from pathlib import Path\nPath({str(folder / 'ran')!r}).touch()\n", "utf-8")
    (project / "r.yaml").write_text(RECIPE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        assert main(["run", str(project / "r.yaml"), "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture
def state(tmp_path, monkeypatch):
    """The record of a user who has trusted nothing yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/vlobjectives/trusted"


@pytest.fixture
def run(whole, state, tmp_path):
    """The run, moved to somebody else."""
    (whole / "ran").unlink(missing_ok=True)
    return shutil.copytree(whole / "run", tmp_path / "run")


def test_plug_in_files_go_along_and_own_ones_are_on_record(capsys, run, state, whole, monkeypatch):
    state = whole / "state/vlobjectives/trusted"
    monkeypatch.setenv("XDG_STATE_HOME", str(whole / "state"))
    assert "plugins: [plugins/0/own.py]" in (run / "recipe.yaml").read_text(encoding="utf-8")
    held = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["plugin_files"]
    assert held.keys() == {"0/own.py", "0/helper.py"}
    assert {one.name for one in state.iterdir()} == set(held.values())
    assert {stat.S_IMODE(one.stat().st_mode) for one in state.iterdir()} == {0o600}
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert vlobj(capsys, "eval", run).code == 0
    assert vlobjectives.load(run).embed_texts(["a red circle"]).shape == (1, 32)


def test_a_strangers_run_folder_runs_no_code(capsys, run, state, whole, tmp_path):
    ran, picture = whole / "ran", tmp_path / "picture.png"
    Image.new("RGB", (32, 32)).save(picture)
    child = tmp_path / "child.yaml"
    child.write_text(f"extends: {run / 'recipe.yaml'}\n", encoding="utf-8")
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(f"base: {run / 'recipe.yaml'}\nseeds: [0]\nrows: {{fast: {{optim.lr: 1}}}}\n", encoding="utf-8")
    for words in (
        ["eval", run],
        ["check", run],
        ["plan", run],
        ["run", run],
        ["caption", run, picture],
        ["check", run / "recipe.yaml"],
        ["check", child],
        ["sweep", sweep, "--dry-run"],
        ["run", run / "recipe.yaml", "--tiny", "--out", tmp_path / "tiny"],
    ):
        ended = vlobj(capsys, *words)
        assert ended.code == 4, (words, ended)
        assert "code that is not known to be yours" in ended.err and "--trust" in ended.err
    for call in (vlobjectives.load, vlobjectives.build):
        with pytest.raises((PluginError, vlobjectives.errors.VlobjError), match="trust=True"):
            call(run)
    assert not ran.exists() and not state.exists()


def test_trust_is_asked_for_once(capsys, run):
    assert vlobj(capsys, "check", run).code == 4
    assert vlobj(capsys, "plan", run, "--trust").code == 0
    assert vlobjectives.load(run).step == 1
    helper = run / "plugins/0/helper.py"
    helper.write_text(helper.read_text(encoding="utf-8") + "# other\n", encoding="utf-8")
    ended = vlobj(capsys, "eval", run)
    assert ended.code == 4 and "(with helper.py)" in ended.err
    with pytest.warns(UserWarning, match=r"plug-in file 0/helper\.py is not what the run was made with"):
        assert vlobjectives.load(run, trust=True).step == 1
    assert trust.trusted(helper.read_bytes())


def test_init_runs_nothing_of_the_run_that_it_names(capsys, run, whole, tmp_path):
    text = RECIPE.replace("plugins: [own.py]", f"init: {run}").replace("{own: {}}", "{itc: {}}")
    (tmp_path / "next.yaml").write_text(text, encoding="utf-8")
    assert vlobj(capsys, "check", tmp_path / "next.yaml").code == 0
    assert not (whole / "ran").exists()


def test_a_recipe_that_the_user_names_is_his_own_act(capsys, state, whole):
    assert vlobj(capsys, "plan", whole / "project/r.yaml").code == 0
    assert not state.exists()  # looking makes no record


def test_a_plug_in_file_that_changed_is_told(capsys, run, whole, tmp_path):
    """The run goes on with its copy; the recipe that names the changed file is another one."""
    project = shutil.copytree(whole / "project", tmp_path / "project")
    (project / "helper.py").write_text("CHANGED = 1\n", encoding="utf-8")
    ended = vlobj(capsys, "run", project / "r.yaml", "--out", run, "--resume", "run.steps=2")
    assert ended.code == 2 and "plugin_files.0/helper.py" in ended.err
    ended = vlobj(capsys, "run", project / "r.yaml", "--out", run, "--resume", "run.steps=2", "--accept-changes")
    assert ended.code == 0, ended.err
    assert (run / "plugins/0/helper.py").read_text(encoding="utf-8") == "CHANGED = 1\n"


def test_a_run_of_before_asks_once(capsys, run, whole):
    """One whose recipe names the file itself."""
    shutil.rmtree(run / "plugins")
    recipe = run / "recipe.yaml"
    recipe.write_text(
        recipe.read_text(encoding="utf-8").replace("plugins/0/own.py", str(whole / "project/own.py")), encoding="utf-8"
    )
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    manifest["plugin_files"] = {str(whole / "project/own.py"): manifest["plugin_files"]["0/own.py"]}
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert vlobj(capsys, "eval", run).code == 4
    assert vlobj(capsys, "eval", run, "--trust").code == 0


def test_a_home_that_cannot_be_written_stops_nothing(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="could not be put on record as trusted .*the next command asks again"):
        assert not trust.record([b"x"])
    assert not trust.trusted(b"x")


def test_the_record_of_another_user_counts_nothing(monkeypatch, state):
    assert trust.record([b"x"]) and trust.trusted(b"x")
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    assert not trust.trusted(b"x")
