"""The package of sounds: installed, trained small, and learned from."""

import json
from pathlib import Path

import pytest
from small_recipes import vlobj
from wheels import unpacked, vlobj_with

PACKAGE = Path(__file__).resolve().parents[2] / "examples" / "audio"
RECIPE = PACKAGE / "recipes" / "audio.yaml"
COMPONENTS = {"sounds", "log_mel", "spectrogram_transformer", "random_bands"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    return unpacked(PACKAGE, tmp_path_factory.mktemp("audio"))


def test_all_components_are_listed_where_the_package_is_installed(installed):
    lines = vlobj_with(installed, "plugins").stdout.splitlines()
    listed = {line.split()[1] for line in lines if "vlobj-audio" in line}
    assert listed == COMPONENTS


def test_the_recipe_trains_small(installed, capsys, tmp_path, monkeypatch):
    """itc and mgsc, which know nothing of sounds; scores are called after the recipe's inputs."""
    monkeypatch.syspath_prepend(str(installed))
    ended = vlobj(capsys, "run", RECIPE, "--tiny", "--out", tmp_path / "run")
    assert ended.code == 0, ended.err
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert lines[-1]["terms"].keys() == {"itc/contrast", "mgsc/image", "mgsc/text"}
    assert "sound_to_text/r1" in ended.out and "text_to_sound/r1" in ended.out


@pytest.mark.slow
def test_sounds_are_found_by_their_captions(installed, capsys, tmp_path, monkeypatch):
    """A third of the recipe's steps: the interval of both directions lies above chance."""
    monkeypatch.syspath_prepend(str(installed))
    out = tmp_path / "run"
    assert vlobj(capsys, "run", RECIPE, "run.steps=130", "--out", out).code == 0
    scores = json.loads((out / "summary.json").read_text("utf-8"))
    for way in ("sound_to_text", "text_to_sound"):
        score = next(value for name, value in scores.items() if name.endswith(f"{way}/r1"))
        assert score["low"] > score["chance"], (way, score)
