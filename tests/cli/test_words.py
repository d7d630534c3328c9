"""What the verbs print, and how a command line ends that means nothing."""

import gc
import json
import re
import subprocess
import sys

import pytest
from small_recipes import CONTRAST, changed, line_of, plugin, vlobj

from vlobjectives.cli import explain
from vlobjectives.components import KINDS
from vlobjectives.recipe.recipes import names
from vlobjectives.registry import Registry

WRONG = [
    (["fly"], 2, "No such command 'fly'"),
    (["run"], 2, "Missing argument"),
    (["run", "glscl", "--fast"], 2, "No such option: --fast"),
    (["run", "glscl", "--nproc", "0"], 2, "--nproc"),
    (["run", "glcsl"], 2, "did you mean 'glscl'?"),
    (["run", "nowhere.yaml"], 2, "there is no file nowhere.yaml"),
    (["run", "glscl", "--resume"], 2, "--resume needs the folder to go on in"),
    (["-p", "itc", "plugins"], 2, "-p no:NAME"),
    (["plugins", "mgcs"], 4, "did you mean 'mgsc'?"),
    (["recipes", "copy", "glcsl"], 2, "did you mean 'glscl'?"),
    (["recipes", "copy", "glscl", "glscl.txt"], 2, "a recipe is a .yaml file"),
    (["eval", "nowhere"], 2, "is no run folder"),
    (["check", "itc", "objectives.itc.wieght=1"], 2, "did you mean 'weight'?"),
    (["-p", "no:nobody", "check", "itc"], 2, "-p no:nobody there is no such plug-in or component to leave out"),
    (["-p", "no:nobody", "plan", "itc"], 2, "-p no:nobody there is no such plug-in or component to leave out"),
    (["-p", "no:objective:itc", "check", "itc"], 2, "there is no objective 'itc'"),
]


@pytest.mark.parametrize(("line", "code", "said"), WRONG, ids=[" ".join(line) for line, _, _ in WRONG])
def test_what_means_nothing(line, code, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = vlobj(capsys, *line)
    assert ended.code == code
    assert said in " ".join(ended.err.replace("│", " ").split())
    assert "Traceback" not in ended.err


def test_run_folders_take_no_contradictions(capsys, tmp_path):
    run = changed(tmp_path, {}, "recipe.yaml", text=CONTRAST).parent
    assert "--tiny cannot change" in vlobj(capsys, "run", run, "--tiny").err
    beside = vlobj(capsys, "run", run, "--out", tmp_path / "other")
    assert beside.code == 2 and f"vlobj run {run}/recipe.yaml --out" in beside.err
    (tmp_path / "notes").touch()
    over = vlobj(capsys, "run", run / "recipe.yaml", "--out", tmp_path / "notes")
    assert over.code == 2 and "is already there\n    hint: --out names another folder" in over.err


def test_several_processes_must_agree_on_a_folder(capsys, monkeypatch):
    for name, value in {"WORLD_SIZE": "2", "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert "add --out DIR" in vlobj(capsys, "run", "itc").err


def test_version(capsys):
    from vlobjectives import __version__

    assert vlobj(capsys, "--version").out == f"vlobjectives {__version__}\n"


def test_module_is_the_command():
    line = [sys.executable, "-m", "vlobjectives", "run", "nowhere.yaml"]
    ended = subprocess.run(line, capture_output=True, encoding="utf-8")
    assert ended.returncode == 2 and ended.stdout == ""
    assert ended.stderr == (
        "there is no file nowhere.yaml\n    hint: correct the path; it counts from the working folder\n"
    )


def test_recipes_are_listed_and_copied(capsys, tmp_path):
    assert list(json.loads(vlobj(capsys, "recipes", "--json").out)) == names()
    copied = vlobj(capsys, "recipes", "copy", "itc", tmp_path)
    assert copied.out == f"{tmp_path / 'itc.yaml'}\n"
    assert vlobj(capsys, "recipes", "copy", "itc", tmp_path).code == 2  # never over what is there


def test_plugins_are_listed(capsys):
    rows = json.loads(vlobj(capsys, "plugins", "--json").out)
    assert {"kind": "objective", "name": "mgsc", "package": "vlobjectives"}.items() <= next(
        row for row in rows if row["name"] == "mgsc"
    ).items()
    without = json.loads(vlobj(capsys, "-p", "no:glscl", "plugins", "--json").out)
    assert "mgsc" not in {row["name"] for row in without}
    assert "there is no such plug-in" in vlobj(capsys, "-p", "no:nobody", "plugins").out.replace("\n", " ")


def test_plugins_as_data(capsys):
    """Every shipped component: its one line, a whole sentence, its package, paper and options."""
    components = json.loads(vlobj(capsys, "plugins", "--json").out)
    shipped = [one for one in components if one["package"] == "vlobjectives"]
    assert {one["kind"] for one in shipped} == set(KINDS) - {"tracker"}
    unclear = [(one["kind"], one["name"]) for one in shipped if not re.fullmatch(r"[A-Z].{18,}\.", one["summary"])]
    assert unclear == []
    assert all(
        option.keys() - {"default"} == {"name", "type", "description"} for one in shipped for option in one["options"]
    )
    itc = next(one for one in shipped if (one["kind"], one["name"]) == ("objective", "itc"))
    assert itc["summary"].startswith("Image-text contrast:") and "2103.00020" in itc["paper"]
    assert itc["fault"] is None and "positives" in {option["name"] for option in itc["options"]}


def test_a_component_that_does_not_import_is_listed_with_its_error(tmp_path):
    file, registry = tmp_path / "own.py", Registry()
    file.write_text(
        "from vlobjectives import hookimpl\n\n\n@hookimpl\ndef vlobj_components():\n"
        '    return {"mask:broken": "no_such_module:Broken"}\n',
        encoding="utf-8",
    )
    registry.add_file(file)
    broken = next(one for one in explain.catalogue(registry) if one["name"] == "broken")
    assert "no_such_module" in broken["fault"] and broken["options"] == []


def test_a_plugin_is_explained(capsys):
    shown = vlobj(capsys, "plugins", "mgsc").out
    assert "GLSCL, arXiv 2306.07096" in shown and "SymNCE( u(Y^A)" in shown
    assert "fusion(vision(image * image_mask), text(text))" in shown
    [data] = json.loads(vlobj(capsys, "plugins", "objective:mgsc", "--json").out)
    options = {option["name"]: option for option in data["options"]}
    assert options["temperature"] == {
        "name": "temperature",
        "type": "number > 0, <= 1000",
        "default": 0.03,
        "description": options["temperature"]["description"],
    }
    assert "default" not in options["image_mask"] and options["image_mask"]["type"] == "name of a mask"
    assert options["norm_axis"]["type"] == '"feature" or "frame"'
    assert data["views"]["c"] == "fusion(vision(image), text(text * text_mask))"


def test_one_name_of_two_kinds(capsys):
    both = json.loads(vlobj(capsys, "plugins", "itm", "--json").out)
    assert [one["kind"] for one in both] == ["objective", "evaluation"]


def test_schema_completes_plugins(capsys):
    schema = json.loads(vlobj(capsys, "schema").out)
    assert "temperature" in schema["$defs"]["objective:mgsc"]["properties"]


def test_check_as_data(capsys, tmp_path):
    recipe = changed(tmp_path, {"itc: {}": "itx: {}"})
    ended = vlobj(capsys, "check", recipe, "--json")
    data = json.loads(ended.out)
    assert ended.code == data["code"] == 2
    [problem] = data["problems"]
    assert (problem["stage"], problem["path"], problem["line"]) == ("names", "objectives.itx", line_of(recipe, "itx"))
    assert problem["note"] is False
    assert data["skipped"] == {} and data["left_out"] == []


def test_notes_are_errors_if_asked(capsys, tmp_path):
    recipe = changed(tmp_path, {"  others: {type": "  more: {type: random_negatives}\n  others: {type"})
    assert vlobj(capsys, "check", recipe).code == 0
    strict = vlobj(capsys, "check", recipe, "--strict")
    assert strict.code == 2 and "the pairing 'more' is named nowhere" in strict.err


def test_a_bug_is_one_line_and_its_traceback_if_asked(capsys, tmp_path, monkeypatch):
    plugin(
        tmp_path,
        """
        from vlobjectives import Source, SourceConfig, hookimpl

        class Broken(Source):
            def __init__(self, config):
                raise ZeroDivisionError("a bug")

        @hookimpl
        def vlobj_components():
            return {"source:broken": Broken}
        """,
    )
    recipe = changed(
        tmp_path,
        {
            "# Small: few objectives.": "plugins: [./own.py]",
            "{type: scenes, image_size: 32, "
            "samples: 64, val: 16, test: 16, test_new: 0, batch: 8}": "{type: broken, batch: 8}",
        },
    )
    monkeypatch.setattr(sys, "argv", ["vlobj", "check", str(recipe)])
    plain = vlobj(capsys, "check", recipe)
    assert plain.code == 4 and "data: opening it failed: ZeroDivisionError: a bug" in plain.err
    assert f"{tmp_path / 'own.py'}:6" in plain.err and "Traceback" not in plain.err
    assert "vlobj --debug" in plain.err
    assert "Traceback" in vlobj(capsys, "--debug", "check", recipe).err


@pytest.mark.parametrize(
    "words", [("check", "RECIPE", "itc=1"), pytest.param(("plan", "RECIPE", "--json"), marks=pytest.mark.slow)]
)
def test_a_brief_process_says_all_and_ends_with_its_code(tmp_path, capsys, words):
    """It leaves without taking modules down: through a pipe nothing is lost, what waits for the exit is called."""
    recipe = str(changed(tmp_path, {}))
    words = [recipe if word == "RECIPE" else word for word in words]
    here = vlobj(capsys, *words)
    assert gc.isenabled()
    code = "import atexit, sys; from vlobjectives.cli import main; atexit.register(print, 'left'); sys.exit(main())"
    there = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, encoding="utf-8")
    assert there.returncode == here.code
    said = there.stdout.removesuffix("left\n")
    assert said != there.stdout
    assert [re.sub(r", \d.* s$", "", text) for text in (said.strip(), there.stderr)] == [
        re.sub(r", \d.* s$", "", text) for text in (here.out.strip(), here.err)
    ]


def test_every_plugin_explains_itself():
    """Each option has a type in words and a meaning; one that takes a path, or several, says so."""
    registry = Registry()
    found = {(row.kind, row.name): explain.as_data(row, registry.get(row.kind, row.name)) for row in registry.all()}
    silent = [
        (key, one["name"])
        for key, data in found.items()
        for one in data["options"]
        if not one["type"] or not one["description"]
    ]
    assert silent == []
    types = {one["name"]: one["type"] for one in found["source", "captions"]["options"]}
    assert types["manifest"] == "path or list of path or mapping to path or list of path"
    assert types["images"] == "path or list of path or null"
    assert (
        next(one["type"] for one in found["objective", "itc"]["options"] if one["name"] == "joint")
        == "name of a part of the model"
    )
