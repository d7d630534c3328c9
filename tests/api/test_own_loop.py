"""A loop of one's own with the recipe's optimiser: it trains as `vlobj run` does, bit for bit, and what it saves is a
run."""

import json
import os
import re
import shutil

import keeper
import pytest
import torch
from small_recipes import TINY, vlobj
from trial_runs import forked, lines, processes, recipe, run, same_weights, stream, weights

import vlobjectives
from vlobjectives.errors import NonFiniteError, RecipeError
from vlobjectives.system import checkpoint

LESS = ("objectives.mlm", "objectives.itm", "model.words", "model.fusion", "masks.noisy_words", "pairings.others")
"""What takes most of the time of a check and of a step, and is of no loop."""
STEPS = (
    "run.steps=4",
    "evaluate.losses=false",
    "run.ema.decay=[[0, 0.5], [4, 0.9]]",
    *(f"{name}=null" for name in LESS),
)
WAYS = {"plain": (), "balanced": ("balance={type: pcgrad}",), "fp16": ("run.precision=fp16",)}
ROWS = ("step", "loss", "terms", "gradient_norm", "rate", "ema_decay")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return recipe(tmp_path_factory.mktemp("own"), keeper.CODE, "keeper: {}")


def loop(path, out, *overrides, steps=4, join=False):
    """Trains so many steps in this process, saves, and writes the steps' numbers."""
    if join:
        torch.distributed.init_process_group("gloo")
    half = "run.precision=fp16" in overrides  # a check refuses it on a CPU, and it is a GPU's alone that is not here
    system = vlobjectives.build(path, *(one for one in overrides if one != "run.precision=fp16"))
    system.autocast = ("cpu", torch.float16) if half else None
    optimizer = system.optimizer()
    rows = []
    for step, batch in enumerate(system.batches()):
        if step == steps:
            break
        optimizer.backward(system(batch, step))
        rows.append(optimizer.step())
        assert all(parameter.grad is None for parameter in system.parameters())
    system.save(out)
    (out.with_name(f"{out.name}.{os.environ.get('RANK', 0)}.json")).write_text(json.dumps(rows), encoding="utf-8")
    if join:
        torch.distributed.destroy_process_group()


def own(path, out, *overrides, steps=4, env=None):
    """The same in a process of its own, as `run` starts runs."""
    said = out.with_name(f"{out.name}.{(env or {}).get('RANK', 0)}.txt")
    return forked(said, lambda: loop(path, out, *overrides, steps=steps, join=env is not None), env)


def rows_of(out, rank=0):
    return [
        {key: row.get(key) for key in ROWS}
        for row in json.loads(out.with_name(f"{out.name}.{rank}.json").read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize("way", ["plain", *(pytest.param(way, marks=pytest.mark.slow) for way in list(WAYS)[1:])])
def test_it_trains_as_a_run_does_bit_for_bit(path, tmp_path, way):
    there, here = (make(path, tmp_path / name, *STEPS, *WAYS[way]) for make, name in ((run, "run"), (own, "own")))
    assert (there.wait(), here.wait()) == (0, 0), there.text + here.text
    same_weights(tmp_path / "own", tmp_path / "run")
    assert rows_of(tmp_path / "own") == [{key: row.get(key) for key in ROWS} for row in lines(tmp_path / "run")]
    assert weights(tmp_path / "own")["objectives.keeper.queue"].any(), (
        "some step was taken (fp16 leaves the first ones out)"
    )


def test_two_processes_train_as_a_run_of_two_does(path, tmp_path, port):
    children = processes(path, tmp_path / "run", port, 2, *STEPS)
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    several = [
        {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} for rank in (0, 1)
    ]
    children = [own(path, tmp_path / "own", *STEPS, env=env) for env in several]
    assert [child.wait() for child in children] == [0, 0], children[0].text + children[1].text
    same_weights(tmp_path / "own", tmp_path / "run")
    assert rows_of(tmp_path / "own") == rows_of(tmp_path / "own", 1)
    assert json.loads((tmp_path / "own" / "manifest.json").read_text(encoding="utf-8"))["starts"][0]["processes"] == 2


@pytest.fixture(scope="module")
def saved(path, tmp_path_factory):
    """A loop of two steps of four, saved."""
    out = tmp_path_factory.mktemp("saved") / "own"
    child = own(path, out, *STEPS, steps=2)
    assert child.wait() == 0, child.text
    return out


def test_a_run_goes_on_where_a_loop_ended(path, saved, tmp_path):
    whole = run(path, tmp_path / "whole", *STEPS)
    shutil.copytree(saved, tmp_path / "own")
    rest = run(tmp_path / "own", tmp_path / "own")
    assert (whole.wait(), rest.wait()) == (0, 0), whole.text + rest.text
    assert "going on after step 2" in rest.text
    same_weights(tmp_path / "own", tmp_path / "whole")
    assert stream(tmp_path / "own") == stream(tmp_path / "whole")[2:]


def test_the_command_line_scores_it_and_begins_with_it(path, saved, tmp_path, capsys):
    shutil.copytree(saved, tmp_path / "own")
    ended = vlobj(capsys, "eval", tmp_path / "own", "evaluate.losses=true")
    assert ended.code == 0 and "keeper/gap" in ended.out, ended.err
    assert [each.name[:11] for each in (tmp_path / "own" / "eval").iterdir()] == ["step-000002"]
    words = ("run", path, *STEPS, f"init={tmp_path / 'own'}", "run.steps=1", "--out", tmp_path / "next")
    ended = vlobj(capsys, *words)
    assert ended.code == 0, ended.err
    manifest = json.loads((tmp_path / "next" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["init"]["run"] == str(tmp_path / "own") and manifest["init"]["step"] == 2
    began = checkpoint.load_file(tmp_path / "next" / "checkpoints" / "step-000000" / checkpoint.MODEL)
    was = weights(saved)
    assert all(torch.equal(value, was[name]) for name, value in began.items() if not name.startswith("averages."))


def test_it_is_loaded_and_what_is_loaded_is_saved(saved, tmp_path):
    trained = vlobjectives.load(saved, trust=True)
    assert trained.step == 2 and trained.embed_texts(["a red circle"]).shape == (1, 32)
    trained.system.save(tmp_path / "again", steps=2)
    same_weights(tmp_path / "again", saved)
    kept, was = (
        json.loads((place / "manifest.json").read_text(encoding="utf-8")) for place in (tmp_path / "again", saved)
    )
    assert all(kept[key] == was[key] for key in ("data", "fields", "plugin_files", "plugins"))
    assert vlobjectives.load(tmp_path / "again", trust=True).step == 2


# ---- slips


@pytest.fixture
def system():
    return vlobjectives.build("itc", *TINY, "run.precision=fp32")


def refused(words, work, kind=RecipeError):
    with pytest.raises(kind, match=re.escape(words)) as error:
        work()
    assert error.value.hint


def test_what_is_no_step_is_said(system):
    optimizer, batch = system.optimizer(), next(system.batches())
    refused("there was no backward pass since the last step", optimizer.step)
    optimizer.backward(system(batch, 0))
    refused("losses of step 1 follow losses of step 0", lambda: optimizer.backward(system(batch, 1)))
    assert optimizer.step()["step"] == 0 and optimizer.steps == 1


def test_a_loss_that_is_not_finite_moves_nothing(system):
    optimizer, batch = system.optimizer(), next(system.batches())
    before = {name: value.clone() for name, value in system.state_dict().items()}
    losses = system(batch.map(lambda x: x * float("nan") if x.is_floating_point() else x), 0)
    optimizer.backward(losses)
    refused("step 0: itc/contrast went non-finite", optimizer.step, NonFiniteError)
    assert all(torch.equal(value, before[name]) for name, value in system.state_dict().items())
    optimizer.backward(system(batch, 0))
    assert optimizer.step()["gradient_norm"] > 0


def test_a_step_without_an_objective_moves_nothing():
    system = vlobjectives.build(
        "itc", *TINY, "run.precision=fp32", "run.steps=3", "objectives.itc.weight=[[1, 0], [2, 1]]"
    )
    optimizer, batch = system.optimizer(), next(system.batches())
    optimizer.backward(system(batch, 0))
    assert optimizer.step() == {
        "step": 0,
        "loss": 0.0,
        "terms": {},
        "gradient_norm": 0.0,
        "rate": pytest.approx(1e-3, 1),
    }
    assert optimizer.state()["optimiser"] == {}


def test_where_it_is_saved_and_what_lies_there(system, tmp_path):
    refused("how many steps the system was trained", lambda: system.save(tmp_path / "run"))
    refused("steps is a whole number", lambda: system.save(tmp_path / "run", steps=-1))
    for steps in (1, 2, 3):
        assert system.save(tmp_path / "run", steps).name == f"step-00000{steps}"
    assert sorted(each.name for each in (tmp_path / "run" / "checkpoints").iterdir()) == ["step-000002", "step-000003"]
    other = vlobjectives.build("itc", *TINY, "run.precision=fp32", "seed=5")
    refused("holds a run of another recipe", lambda: other.save(tmp_path / "run", 1))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine", encoding="utf-8")
    refused("is there, and not empty", lambda: system.save(tmp_path / "full", 1))


def test_what_follows_a_step_needs_its_losses_where_an_objective_keeps_state(path):
    system = vlobjectives.build(path, *STEPS)
    refused("it changes its buffers by the losses of each step", system.after_step)
    system.after_step(system(next(system.batches()), 0))
    assert system.objectives["keeper"].centre.any()
