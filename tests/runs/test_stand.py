"""A run folder is held against what was noted when it was made: what differs or is damaged is said."""

import errno
import json
import os
import shutil
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from small_recipes import CONTRAST, changed, plugin, vlobj

from vlobjectives import load
from vlobjectives.cli import main
from vlobjectives.data.collate import Fields
from vlobjectives.errors import DataError, PluginError, RecipeError, ResourceError
from vlobjectives.files import json_text, reserved
from vlobjectives.recipe import load as load_recipe
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.run_folder import RunFolder
from vlobjectives.runs import resume, start, termination
from vlobjectives.sweeping.run_state import state, whole
from vlobjectives.system import warm_start

QUICK = ("evaluate.losses=false", "evaluate.retrieval=false")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of two steps with a checkpoint of each; nobody changes it."""
    folder = tmp_path_factory.mktemp("made")
    assert (
        main(
            [
                "run",
                str(changed(folder, {"steps: 4": "steps: 2, checkpoint: {steps: 1, keep: 3}"}, text=CONTRAST)),
                "--out",
                str(folder / "run"),
                *QUICK,
            ]
        )
        == 0
    )
    return folder / "run"


@pytest.fixture
def run(made, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(made, tmp_path / "run", symlinks=True)


def noted(run):
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_field_that_is_no_more_what_was_learned(run, capsys):
    """Valid, and other bytes; `run` lists it among its changes."""
    path = run / "fields/caption.json"
    path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
    said = "this is not what the field 'caption' learned: the file differs from its hash in manifest.json"
    ended = vlobj(capsys, "eval", run, "--json")
    assert ended.code == 3 and f"caption.json  {said}" in ended.err and not ended.out, ended
    with pytest.raises(DataError, match="differs from its hash"):  # as `vlobj caption`
        load(run)
    recipe = load_recipe(run, [f"init={run}"])
    with pytest.raises(RecipeError, match="differs from its hash"):
        warm_start.origin(resolve(recipe, Registry()))


def test_an_older_checkpoint_is_not_taken_without_a_word(run, capsys):
    model = run / "checkpoints/step-000002/model.safetensors"
    model.write_bytes(model.read_bytes()[:-1])
    said = "checkpoint step-000002 is damaged (model.safetensors differs from its hash)"
    ended = vlobj(capsys, "eval", run, "evaluate.retrieval={gallery: 16}", "--json")
    found = json.loads(ended.out)
    assert ended.code == 0 and f"warning: {said}" in ended.err
    assert (found["step"], found["warnings"]) == (1, [said])
    with pytest.warns(UserWarning, match="step-000002 is damaged"):
        assert load(run).step == 1
    ended = vlobj(capsys, "check", run / "recipe.yaml", f"init={run}")
    assert ended.code == 0
    begun = warm_start.origin(resolve(load_recipe(run, [f"init={run}"]), Registry()))
    assert begun.warned == [f"init: {said}: that of step 1 is taken"]


def test_where_all_checkpoints_are_damaged_nothing_begins_anew(run, capsys):
    """Nothing is renamed, cut or trained; without the folder of checkpoints it is asked for."""
    for path in (run / "checkpoints").iterdir():
        (path / "state.pt").write_bytes(b"")
    before = {
        path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name not in ("log.txt", ".lock")
    }
    ended = vlobj(capsys, "run", run)
    assert ended.code == 3 and "no checkpoint of" in ended.err and f"take {run / 'checkpoints'} away" in ended.err
    assert before == {path: path.read_bytes() for path in before}
    (run / "checkpoints/step-000001").rename(run / "checkpoints/damaged-step-000001")
    shutil.rmtree(run / "checkpoints/step-000002")
    assert "damaged-step-000001" in vlobj(capsys, "run", run).err  # as versions before this one renamed them
    shutil.rmtree(run / "checkpoints")
    assert vlobj(capsys, "run", run, *QUICK).code == 0


def test_a_sound_run_is_loaded_without_a_warning(made):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        load(made)


def test_a_recipe_edited_by_hand_is_a_change_like_any_other(run, capsys):
    """Refused or noted as an override would be; whoever looks at the run is told."""
    replace(run / "recipe.yaml", "lr: 0.001", "lr: 0.002")
    ended = vlobj(capsys, "run", run)
    assert ended.code == 2 and "optim.lr  was 0.001 in this run and is 0.002 now" in ended.err
    assert resume.edited(RunFolder(run), Registry()) == [
        "recipe.yaml was edited: optim.lr was 0.001 in this run and is 0.002 now"
    ]
    with pytest.warns(UserWarning, match="optim.lr was 0.001"):
        load(run)
    replace(run / "recipe.yaml", "lr: 0.002", "lr: 0.001")
    replace(run / "recipe.yaml", "steps: 2\n", "steps: 3\n")
    assert vlobj(capsys, "run", run, *QUICK).code == 0  # steps may change
    assert [(one["what"], one["old"], one["new"]) for one in noted(run)["changes"]] == [("run.steps", 2, 3)]
    assert resume.edited(RunFolder(run), Registry()) == []


def test_a_run_of_an_older_version_goes_on(run, capsys):
    """Its manifest does not hold the recipe."""
    manifest = noted(run)
    del manifest["recipe"]
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert vlobj(capsys, "run", run, "run.steps=3", *QUICK).code == 0
    assert noted(run)["recipe"]["run"]["steps"] == 3
    assert [one["what"] for one in noted(run)["changes"]] == ["run.steps"]


def test_a_recipe_of_another_version_in_the_manifest_is_said(run):
    """It cannot be held against recipe.yaml, which counts."""
    manifest = noted(run)
    manifest["recipe"]["optim"]["later"] = 1
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    replace(run / "recipe.yaml", "lr: 0.001", "lr: 0.002")
    (line,) = resume.edited(RunFolder(run), Registry())
    assert "manifest.json is none of this version (optim.later: " in line and "recipe.yaml counts" in line


@pytest.mark.parametrize("held", [b"", b'{"versions": {', b"[]", b'{"starts": 3}', b"\xff\xfe\x00"])
def test_a_manifest_that_is_damaged(run, held):
    (run / "manifest.json").write_bytes(held)
    for read in (partial(resume.as_noted, tell=print), partial(resume.edited, registry=Registry())):
        with pytest.raises(DataError, match=r"manifest.json  the file is damaged(?s:.*)hint: put it back from a copy"):
            read(RunFolder(run))


def test_a_manifest_that_is_empty_is_one_message(run, capsys):
    (run / "manifest.json").write_bytes(b"")
    ended = vlobj(capsys, "run", run, "run.steps=3")
    assert ended.code == 3 and "manifest.json  the file is damaged: it is empty" in ended.err
    (run / "manifest.json").unlink()
    (run / "recipe.yaml").write_text("data: {type: sce", encoding="utf-8")
    (run / "manifest.json").write_text("{}", encoding="utf-8")
    ended = vlobj(capsys, "run", run)
    assert ended.code == 2 and "recipe.yaml:1:" in ended.err and "manifest.json beside it holds it" in ended.err


def test_what_is_made_anew_may_be_damaged(run, capsys):
    """Half a last line of metrics, and lines that are none; a summary that was cut; the log and the lock."""
    held = {
        "metrics.jsonl": b'{"step": 0}\nnull\n[]\n{"step": "x"}\n\xff\xfe\n{"st',
        "summary.json": b'{"re',
        "log.txt": b"\xff",
        ".lock": b"\xff",
    }
    for name, data in held.items():
        (run / name).write_bytes(data)
    ended = vlobj(capsys, "run", run, "run.steps=3", *QUICK)
    assert (ended.code, ended.err) == (0, "")
    assert [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_bytes().splitlines()] == [0, 2]


@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        "log.txt",
        "manifest.json",
        "summary.json",
        "recipe.yaml",
        "metrics.jsonl",
        "checkpoints",
        "fields",
        "eval",
        "plugins",
        "fields/caption.json",
        "failed.json",
        "checkpoints/step-000003",
        "checkpoints/step-000002/state.pt",
        "eval/step-000003.json",
    ],
)
def test_links_are_not_followed_out_of_the_folder(run, tmp_path, name):
    victim = tmp_path / "victim"
    if (run / name).is_dir():
        shutil.move(run / name, victim)
    elif (run / name).exists():
        (run / name).rename(victim)
    else:
        victim.write_text("a stranger's", encoding="utf-8")
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).symlink_to(victim)
    before = {path: path.read_bytes() for path in [victim, *victim.rglob("*")] if path.is_file()}
    with pytest.raises(RecipeError, match=f"{name} is a link out of the folder"):
        load_recipe(run)  # as every verb does first
    with pytest.raises(RecipeError, match=f"{name} is a link out of the folder"):
        resume.as_noted(RunFolder(run), print)  # as going on by --out and --resume does first
    with pytest.raises(RecipeError, match=f"{name} is a link out of the folder"):
        RunFolder(run).lock()  # as whatever writes does first
    assert before == {path: path.read_bytes() for path in [victim, *victim.rglob("*")] if path.is_file()}


def test_links_that_were_laid_where_files_are_replaced_are_not_written_through(run, capsys, tmp_path):
    """Names that are made for a moment only; a link within the folder is nobody's harm."""
    victims = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    for victim, name in zip(victims, ("metrics.cut", f".manifest.json.{os.getpid()}", f".metrics.jsonl.{os.getpid()}")):
        victim.write_text("a stranger's", encoding="utf-8")
        (run / name).symlink_to(victim)
    (run / "checkpoints/newest").symlink_to("step-000002")
    assert vlobj(capsys, "run", run, "run.steps=3", *QUICK).code == 0
    assert {victim.read_text(encoding="utf-8") for victim in victims} == {"a stranger's"}


def test_a_pipe_in_the_folder_is_not_waited_for(run, capsys):
    (run / "log.txt").unlink()
    os.mkfifo(run / "log.txt")
    assert "neither a file nor a folder" in vlobj(capsys, "run", run).err


def test_names_that_the_library_chooses_are_made_by_one_alone(tmp_path, made):
    """Eight at once in the same second: eight folders, eight files."""
    gate = threading.Barrier(8)

    def at_once(make):
        def one(_):
            gate.wait()
            return make()

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(one, range(8)))

    places = at_once(lambda: start._made(tmp_path / "runs" / "small-20260101-000000"))
    assert len(set(places)) == 8 and all(place.is_dir() for place in places)
    assert tmp_path / "runs" / "small-20260101-000000-8" in places
    files = at_once(lambda: reserved(tmp_path / "eval", "step-000002-20260101-000000", ".json"))
    assert len(set(files)) == 8 and all(file.name.endswith(".json") for file in files)
    assert RunFolder.create(places[0], "seed: 1\n").path == places[0]


FAILS = """
    from vlobjectives import hookimpl
    from vlobj_common.objectives.itc import ITC

    class Fails(ITC):
        class Config(ITC.Config):
            by: float = 0.0

        def forward(self, image, text, batch, gather):
            return {name: term.__class__(term.total / (term.total * 0 + self.config.by), term.count)
                    for name, term in super().forward(image, text, batch, gather).items()}

    @hookimpl
    def vlobj_components():
        return {"objective:fails": Fails}
    """


def test_a_run_that_never_took_a_step_does_not_block_the_corrected_command(tmp_path, capsys):
    """Under the same name, by going on, and with a field that must be learned anew; a run that took one does."""
    plugin(tmp_path, FAILS)
    path, out = (
        changed(
            tmp_path,
            {
                "# Small: few objectives.": "plugins: [own.py]",
                "steps: 4": "steps: 1",
                "  itc: {}": "  itc: {}\n  fails: {}",
            },
            text=CONTRAST,
        ),
        tmp_path / "run",
    )
    failed = vlobj(capsys, "run", path, "--out", out)
    assert failed.code == 5 and "fails/contrast" in failed.err
    for how in (("run", out), ("run", path, "--out", out)):
        copy = shutil.copytree(out, tmp_path / f"copy-{len(how)}")
        words = [str(copy) if word == out else str(word) for word in how]
        mended = ["objectives.fails.by=1"]
        if path in how:  # the plug-in's own file
            mended = [f"run.name={plugin(tmp_path, FAILS.replace('= 0.0', '= 1.0')).stem}"]
        ended = vlobj(capsys, *words, *mended, "fields.caption.size=390", *QUICK)
        assert (ended.code, ended.err) == (0, ""), ended
        assert noted(copy)["changes"] == [] and len(noted(copy)["starts"]) == 1
        assert noted(copy)["recipe"]["fields"]["caption"]["size"] == 390
        assert ("= 1.0" in (copy / "plugins/0/own.py").read_text(encoding="utf-8")) == (path in how)
        assert (copy / "log.txt").read_text(encoding="utf-8").count("ended: ") == 1
    blocked = vlobj(capsys, "run", path, "--out", copy)
    assert blocked.code == 2 and "is already there" in blocked.err


def test_a_disk_that_fails_on_the_way_is_the_machines_doing(tmp_path):
    """Exit 6 and how to go on, for what is written into the folder and for what says no name."""
    at = termination.Where(tmp_path, None, None)
    for error in (
        OSError(errno.EACCES, "Permission denied", str(tmp_path / "metrics.jsonl")),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.EIO, "Input/output error", 7),
    ):
        told = termination.explained(error, at, None)
        assert isinstance(told, ResourceError) and told.hint, told


def test_scores_that_a_run_lacks_are_computed_when_a_sweep_comes_by(run):
    assert whole(RunFolder(run))
    (run / "failed.json").write_text("{}", encoding="utf-8")
    assert not whole(RunFolder(run))
    (run / "failed.json").unlink()
    (run / "summary.json").write_text("{", encoding="utf-8")
    assert not whole(RunFolder(run))


def test_a_sweep_trains_no_run_anew_whose_manifest_is_damaged(run):
    recipe = load_recipe(run).recipe
    assert state(run, recipe, noted(run)["plugins"], {}) == "finished"
    (run / "manifest.json").write_bytes(b"")
    with pytest.raises(DataError, match=r"manifest\.json  the file is damaged"):
        state(run, recipe, [], {})
    shutil.rmtree(run / "checkpoints")
    (run / "metrics.jsonl").unlink()
    assert state(run, recipe, [], {}) == "other"


def test_no_infinity_in_json(tmp_path, capsys):
    """One batch: no interval. In whatever is written or printed, and a table says a dash."""

    def strict(text):
        return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))

    path = changed(tmp_path, {"val: 16, test: 16": "val: 8, test: 8", "steps: 4": "steps: 1"}, text=CONTRAST)
    ended = vlobj(capsys, "run", path, "--out", tmp_path / "run")
    assert ended.code == 0 and "[-, -]" in ended.out
    for file in tmp_path.rglob("*.json"):
        strict(file.read_text(encoding="utf-8"))
    for line in (tmp_path / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines():
        strict(line)
    summary = strict((tmp_path / "run/summary.json").read_text(encoding="utf-8"))
    [low] = {score["low"] for name, score in summary.items() if name.endswith("itc/contrast")}
    assert low is None
    assert strict(vlobj(capsys, "eval", tmp_path / "run", "--json").out).keys() == summary.keys()
    assert strict(json_text({"a": [float("nan"), (float("inf"),)], "b": {"c": -float("inf")}})) == {
        "a": [None, [None]],
        "b": {"c": None},
    }


def test_a_reader_that_learned_no_number_is_named(tmp_path):
    """Null in its place would be something else than it learned."""

    class Endless:
        def state(self):
            return {"most": float("inf")}

    with pytest.raises(PluginError, match="what the field 'size' learned is no JSON"):
        Fields({}, {"size": Endless()}, {}, {}).save(tmp_path)
    (tmp_path / "size.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError, match="does not take it back"):
        Fields({}, {"size": Endless()}, {}, {}).load(tmp_path)
