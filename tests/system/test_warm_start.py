"""`init`: a run that begins with the weights and the fields of another one, and then stands on its own."""

import hashlib
import json
import shutil
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from trial_runs import lines, processes, recipe, run, same_weights, stream, weights

from vlobjectives import api
from vlobjectives.errors import RecipeError
from vlobjectives.recipe import load
from vlobjectives.system import checkpoint

QUICK = ("run.steps=2", "evaluate.losses=false")


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A run of two steps, and its recipe; nobody changes it."""
    folder = tmp_path_factory.mktemp("origin")
    path, out = recipe(folder), folder / "first"
    child = run(path, out, *QUICK)
    assert child.wait() == 0, child.text
    return path, out


def first(out):
    """The weights that a run began with."""
    return load_file(out / "checkpoints" / "step-000000" / checkpoint.MODEL)


def test_weights_and_fields_are_brought(origin, tmp_path):
    """Of other data, whose captions would teach other pieces; the seed of first weights is another one too."""
    path, there = origin
    out = tmp_path / "second"
    child = run(path, out, *QUICK, f"init={there}", "data.seed=7", "seed=4")
    assert child.wait() == 0, child.text
    began, was = first(out), weights(there)
    assert began.keys() == was.keys() and all(torch.equal(began[name], was[name]) for name in was)
    assert (out / "fields/caption.json").read_bytes() == (there / "fields/caption.json").read_bytes()
    assert f"{len(was)} tensors, what caption learned from {there}, step 2" in (out / "log.txt").read_text("utf-8")
    kept = json.loads((there / "checkpoints/step-000002/manifest.json").read_text(encoding="utf-8"))
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["init"] == {"run": str(there), "step": 2, "sha256": kept["sha256"]["model.safetensors"]}
    assert load(out).recipe.init == str(there)
    assert [row["step"] for row in lines(out)] == [0, 1]


def test_a_run_goes_on_without_the_one_that_it_began_from(origin, tmp_path):
    """Stopped after two steps or not at all: the same; the other run is gone by then."""
    path, there = origin
    gone = tmp_path / "gone"
    shutil.copytree(there, gone)
    whole = run(path, tmp_path / "whole", "run.steps=4", "evaluate.losses=false", f"init={gone}")
    halves = run(
        path,
        tmp_path / "halves",
        "run.steps=2",
        "evaluate.losses=false",
        f"init={gone}",
        "optim.schedule.then=constant",
    )
    assert (whole.wait(), halves.wait()) == (0, 0), whole.text + halves.text
    shutil.rmtree(gone)
    child = run(tmp_path / "halves" / "recipe.yaml", tmp_path / "halves", "run.steps=4")
    assert child.wait() == 0 and "going on after step 2" in child.text, child.text
    other = run(
        path,
        tmp_path / "other",
        "run.steps=4",
        "evaluate.losses=false",
        f"init={there}",
        "optim.schedule.then=constant",
    )
    assert other.wait() == 0, other.text
    assert stream(tmp_path / "other") == stream(tmp_path / "halves") != stream(tmp_path / "whole")
    same_weights(tmp_path / "other", tmp_path / "halves")
    assert "init" in json.loads((tmp_path / "halves" / "manifest.json").read_text(encoding="utf-8"))


def test_positions_follow_a_larger_picture(origin, tmp_path):
    path, there = origin
    out = tmp_path / "large"
    child = run(path, out, *QUICK, f"init={there}", "data.image_size=48")
    assert child.wait() == 0, child.text
    assert "model.vision.module.pos_embed resampled from 1 x 17 x 32 to 1 x 37 x 32" in child.text
    name = "model.vision.module.pos_embed"
    began, was = first(out)[name], weights(there)[name]
    assert torch.equal(began[:, :1], was[:, :1])  # of the class token, as it is
    grid = torch.nn.functional.interpolate(was[:, 1:].reshape(1, 4, 4, 32).movedim(3, 1), (6, 6), mode="bicubic")
    torch.testing.assert_close(began[:, 1:], grid.flatten(2).mT)


def test_what_is_missing_and_left_over_is_named(origin, tmp_path):
    """Another fusion and no matching: first weights there, and the heads of the run are not used."""
    path, there = origin
    out = tmp_path / "run"
    text = path.read_text("utf-8").replace("  fusion: {", "  mixed: {").replace("  mlm: {", "  mlm: {fusion: mixed, ")
    text = text.replace("  itm: {negatives: others, weight: [[4, 0], [5, 1]]}\n", "")
    (tmp_path / "other.yaml").write_text(text, encoding="utf-8")
    child = run(tmp_path / "other.yaml", out, *QUICK, f"init={there}")
    assert child.wait() == 0, child.text
    assert "not there, so with first weights: model.mixed\n" in child.text
    assert "there and not used: model.fusion, objectives.itm\n" in child.text
    fresh = api.build(tmp_path / "other.yaml").state_dict()
    began = first(out)
    assert all(torch.equal(began[name], fresh[name]) for name in began if name.startswith("model.mixed"))
    brought = api.build(tmp_path / "other.yaml", f"init={there}").state_dict()
    assert all(torch.equal(began[name], brought[name]) for name in began)


def test_weights_that_are_no_numbers_are_named_with_their_file(origin, tmp_path):
    path, there = origin
    shutil.copytree(there, tmp_path / "torn")
    held = tmp_path / "torn" / "checkpoints" / "step-000002"
    tensors = load_file(held / checkpoint.MODEL)
    name = next(name for name in tensors if name.startswith("model.") and tensors[name].dim() == 2)
    tensors[name][0, 0] = float("nan")
    save_file(tensors, held / checkpoint.MODEL)
    kept = json.loads((held / checkpoint.MANIFEST).read_text(encoding="utf-8"))
    kept["sha256"][checkpoint.MODEL] = hashlib.sha256((held / checkpoint.MODEL).read_bytes()).hexdigest()
    (held / checkpoint.MANIFEST).write_text(json.dumps(kept), encoding="utf-8")
    with pytest.raises(RecipeError, match="NaN or infinity") as caught:
        api.build(path, f"init={tmp_path / 'torn'}")
    assert f"{held / checkpoint.MODEL} holds NaN or infinity: {name}" in str(caught.value)


def test_a_run_that_began_nowhere_else_has_no_such_checkpoint(origin):
    assert [folder.name for folder in (origin[1] / "checkpoints").iterdir()] == ["step-000002"]


def test_processes_begin_from_the_same_weights(origin, tmp_path):
    path, there = origin
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = (
        *QUICK,
        f"init={there}",
        "model.fusion.dropout=0.0",
        "model.text.config.hidden_dropout_prob=0.0",
        "model.text.config.attention_probs_dropout_prob=0.0",
        "seed=9",
    )  # dropout hangs on the process
    children = processes(path, tmp_path / "run", port, 2, *words)
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    alone = run(path, tmp_path / "alone", *words)
    assert alone.wait() == 0, alone.text
    both = list(zip(lines(tmp_path / "run"), lines(tmp_path / "alone"), strict=True))
    assert len(both) == 2
    for one, other in both:
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
