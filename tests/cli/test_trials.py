"""`--tiny` on every shipped recipe, from the command line to the scores; and what follows on such a run."""

import json
from pathlib import Path

import pytest
import toy_audio
import yaml
from small_recipes import CONTRAST, changed, plugin, vlobj

from vlobjectives.recipe.recipes import names

QUICK = {"itc", "glscl", "mvptr"}
"""The others are slow, that of clips in a mix among them."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]
)
def test_every_shipped_recipe_runs_tiny(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ended = vlobj(capsys, "run", name, "--tiny", "--out", "trial", "run.device=cpu")
    if "is not installed" in ended.err:
        pytest.skip(ended.err.strip())
    assert ended.code == 0, ended.err
    first = ended.out.splitlines()[0]
    lines = [json.loads(line) for line in (tmp_path / "trial/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    recipe = yaml.safe_load((tmp_path / "trial/recipe.yaml").read_text(encoding="utf-8"))
    steps = max(2, len(recipe["data"].get("mix") or ()))  # each source has a step
    assert first.startswith("tiny: every part small, scenes of ") and f"no weights, {steps} steps" in first
    assert [line["step"] for line in lines] == list(range(steps))
    live = {term.split("/")[0] for line in lines for term, one in line["terms"].items() if one["weight"]}
    assert live == {name for name, entry in recipe["objectives"].items() if entry["weight"]}
    assert json.loads((tmp_path / "trial/summary.json").read_text(encoding="utf-8"))
    planned = vlobj(capsys, "plan", "trial", "--json")
    assert planned.code == 0, planned.err
    plans = json.loads(planned.out)
    assert {
        work["name"] for plan in (plans if isinstance(plans, list) else [plans]) for work in plan["objectives"]
    } == live


def test_a_trial_goes_on_and_is_evaluated_again(capsys, tmp_path):
    recipe, run = changed(tmp_path, {}, text=CONTRAST), tmp_path / "run"
    assert (
        vlobj(capsys, "run", recipe, "--tiny", "--out", run, "--resume", "evaluate.losses=false", "run.steps=1").code
        == 0
    )  # nothing there yet: it starts
    again = vlobj(capsys, "run", recipe, "--tiny", "--out", run)
    assert again.code == 2 and "is already there" in again.err
    on = vlobj(capsys, "run", run, "run.steps=2")
    assert on.code == 0 and "going on after step 1" in on.out
    requeued = vlobj(capsys, "run", recipe, "--tiny", "--out", run, "--resume", "evaluate.losses=false", "run.steps=3")
    assert requeued.code == 0 and "going on after step 2" in requeued.out
    assert len((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()) == 3
    other = vlobj(capsys, "run", run, "optim.lr=1")
    assert other.code == 2 and "optim.lr" in other.err and "--accept-changes" in other.err
    assert vlobj(capsys, "run", run, "optim.lr=1", "--accept-changes").code == 0
    before = set((run / "eval").iterdir())
    scores = json.loads(vlobj(capsys, "eval", run, "--split", "test", "evaluate.losses=false", "--json").out)
    assert scores and {name.split("/")[:2] == ["retrieval", "test"] for name in scores} == {True}
    [written] = set((run / "eval").iterdir()) - before
    assert json.loads(written.read_text(encoding="utf-8")) == scores
    assert "settled when the run was trained" in vlobj(capsys, "eval", run, "optim.lr=2").err
    assert "it has train, val, test" in vlobj(capsys, "eval", run, "--split", "tset").err


def test_what_the_command_line_gives_stays(capsys, tmp_path):
    recipe, run = (
        changed(tmp_path, {"  lr: 1e-3": "  lr: 1e-3\n  schedule: {warmup: 3}"}, text=CONTRAST),
        tmp_path / "run",
    )
    ended = vlobj(
        capsys,
        "run",
        recipe,
        "--tiny",
        "--out",
        run,
        "run.steps=1",
        "data.batch=4",
        "data.image_size=64",
        "evaluate.losses=false",
    )
    assert ended.out.startswith("tiny: every part small, scenes of 64 pixels in place of scenes, no weights, 1 steps")
    kept = yaml.safe_load((run / "recipe.yaml").read_text(encoding="utf-8"))
    assert (kept["run"]["steps"], kept["data"]["batch"], kept["data"]["image_size"]) == (1, 4, 64)


def test_a_refused_recipe_makes_no_folder(capsys, tmp_path):
    recipe = changed(tmp_path, {"model.fusion.*": "model.fuson.*"})
    ended = vlobj(capsys, "run", recipe, "--out", tmp_path / "run")
    assert ended.code == 2 and "optim.groups.0.match" in ended.err
    assert not (tmp_path / "run").exists()


def test_paths_of_plugins_count_from_the_file_that_names_them(capsys, tmp_path, monkeypatch):
    (tmp_path / "recipes").mkdir()
    plugin(
        tmp_path / "recipes",
        """
        from pydantic import Field
        from vlobjectives import MaskConfig, hookimpl
        from vlobj_common.masks.random_patches import RandomPatches

        class Listed(RandomPatches):
            class Config(RandomPatches.Config):
                order: str = Field(description="a file", json_schema_extra={"path": True})

        @hookimpl
        def vlobj_components():
            return {"mask:listed": Listed}
        """,
    )
    recipe = changed(
        tmp_path / "recipes",
        {
            "# Small: few objectives.": "plugins: [own.py]",
            "dropped: {type: random_patches, ": "dropped: {type: listed, order: ../order.txt, ",
        },
    )
    monkeypatch.chdir(tmp_path)
    assert vlobj(capsys, "run", recipe, "--out", "run", "run.steps=1", "evaluate.losses=false").code == 0
    kept = yaml.safe_load((tmp_path / "run/recipe.yaml").read_text(encoding="utf-8"))
    assert kept["masks"]["dropped"]["order"] == str(tmp_path / "order.txt")
    assert kept["pairings"]["others"]["group"] == 8


@pytest.mark.parametrize("options", ["type: toy_sounds", "type: recorded, folder: nowhere", "type: recorded"])
def test_a_third_partys_modality_runs_tiny(options, capsys, tmp_path):
    """Its sources and readers give their small form; one of files names what stands for it, though none are named."""
    folder = Path(toy_audio.__file__).parent
    text = (folder / "toy_audio.yaml").read_text(encoding="utf-8")
    text = text.replace("[toy_audio.py]", f"[{folder / 'toy_audio.py'}]").replace("type: toy_sounds", options)
    (tmp_path / "audio.yaml").write_text(text, encoding="utf-8")
    ended = vlobj(capsys, "run", tmp_path / "audio.yaml", "--tiny", "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    instead = "" if "recorded" not in options else " in place of recorded"
    assert ended.out.startswith(f"tiny: every part small, toy_sounds{instead}, no weights, 2 steps")
    kept = yaml.safe_load((tmp_path / "run/recipe.yaml").read_text(encoding="utf-8"))
    assert kept["data"]["type"] == "toy_sounds" and kept["data"].get("samples") == (16 if instead else None)
    assert kept["fields"]["sound"] == {"type": "spectrogram", "windows": 4, "of": "wave"}
    assert kept["inputs"]["audio"]["fields"] == ["sound"]


def test_a_tiny_form_that_is_none_is_the_plug_ins_fault(capsys, tmp_path):
    plugin(
        tmp_path,
        """
        from vlobjectives import SourceConfig, hookimpl
        from toy_audio import Sounds

        class Wrong(Sounds):
            class Config(SourceConfig):
                def tiny(self, pixels):
                    return {"type": "scenes"}

        @hookimpl
        def vlobj_components():
            return {"source:wrong": Wrong}
        """,
    )
    options = "type: scenes, image_size: 32, samples: 64, val: 16, test: 16, test_new: 0"
    recipe = changed(tmp_path, {"# Small: few objectives.": "plugins: [own.py]", options: "type: wrong"})
    ended = vlobj(capsys, "run", recipe, "--tiny", "--out", tmp_path / "run")
    assert ended.code == 4 and "data: tiny returned a dict" in ended.err and "own.py:" in ended.err
