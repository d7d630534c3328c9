"""The blocks of docs/python.md, run in order as a reader would, on few and small pictures."""

import copy
import os
import re
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image
from small_recipes import TINY
from torch import multiprocessing

import vlobjectives
from vlobjectives import errors
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.runs import train_run
from vlobjectives.runtime.log import Log

HEADINGS = (
    "A loop of your own",
    "An optimiser of your own",
    "Captions and pictures of your own",
    "Several processes",
    "Compiled, and in another dtype",
    "Lightning",
    "Accelerate",
    "A trained run",
)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "python.md"
SMALL = (
    "run.steps=2",
    "optim.schedule.warmup=0",
    "data.samples=64",
    "data.batch=8",
    "data.test=16",
    "data.test_new=0",
    "data.val=16",
    "evaluate={losses: false, retrieval: {gallery: 16}}",
)


LOOP = '"run.steps=1060"'
EAGER = "part.compile(backend='eager')"
"""torch's default, inductor, takes half a minute a part on a CPU."""


def blocks(heading: str) -> list[str]:
    """The code under a heading."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def built():
    return vlobjectives.build("itc", *TINY, "run.precision=fp32")


@pytest.fixture
def names(built):
    """What the page's first block leaves behind, on small data."""
    return {"torch": torch, "vlobjectives": vlobjectives, "system": copy.deepcopy(built).train()}


def moved(names: dict, built) -> bool:
    """Whether the bounded temperature is another than at the start, in the bounds."""
    now, before = (system.model["joint"].temperature.item() for system in (names["system"], built))
    return now != before and now > 0


def test_every_block_is_run_here_and_short():
    every = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    run = [block for heading in HEADINGS for block in blocks(heading)]
    assert every == run
    assert all(len(block.splitlines()) <= 20 for block in every)


def test_loop_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    [block] = blocks("A loop of your own")
    assert LOOP in block
    names: dict = {}
    exec(block.replace(LOOP, ", ".join(map(repr, SMALL))), names)
    assert names["step"] == 1
    assert capsys.readouterr().out.startswith("0 {'itc/contrast': ")
    saved, now = vlobjectives.load("mine"), names["system"].state_dict()
    assert saved.step == 2
    assert all(torch.equal(value, now[name]) for name, value in saved.system.state_dict().items())
    assert saved.joint.temperature != torch.tensor(0.04)


def test_an_optimiser_of_ones_own(tmp_path, monkeypatch, built):
    monkeypatch.chdir(tmp_path)
    [block] = blocks("An optimiser of your own")
    exec(block.replace(LOOP, ", ".join(map(repr, (*TINY, "run.precision=fp32")))), names := {})
    assert names["step"] == 1 and moved(names, built)
    assert vlobjectives.load("mine").step == 1060


def test_captions_and_pictures_of_ones_own(tmp_path, monkeypatch, capsys, names):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (90, 70), "red").save("photo.png")
    exec(*blocks("Captions and pictures of your own"), names)
    assert capsys.readouterr().out.startswith("tensor(")
    assert names["step"] == 0 and names["batch"].size == 2
    assert names["system"].model["joint"].temperature.grad is not None


def test_two_processes_do_what_one_does(tmp_path, port):
    """Each runs the page's block on its half of the rows, in float64; all weights are those that one process gets."""
    [block] = blocks("Several processes")
    small = ", ".join(map(repr, (*TINY, "run.precision=fp32")))
    block = block.replace(f"{LOOP})", f"{small}).double()").replace('"mine"', f'"{tmp_path}/mine"')
    alone = "\n".join(line for line in block.split("\n") if "process_group" not in line and "save" not in line)
    exec(alone, one := {})
    processes = [
        multiprocessing.get_context("fork").Process(target=_train, args=(block, rank, port, tmp_path))
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, weight in one["system"].state_dict().items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], weight)
    trained = vlobjectives.load(tmp_path / "mine").system.double()
    assert all(torch.equal(first[name].float().double(), value) for name, value in trained.state_dict().items())


def _train(block: str, rank: int, port: int, folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    exec(block, names := {})
    torch.save(names["system"].state_dict(), folder / f"{rank}.pt")


@pytest.mark.slow
def test_compiled_and_in_another_dtype(capsys, names):
    compiled, double = blocks("Compiled, and in another dtype")
    expected = names["system"](next(names["system"].batches()), 1).total
    exec(compiled.replace("part.compile()", EAGER), names)
    assert EAGER in compiled.replace("part.compile()", EAGER)
    assert names["step"] == 1
    torch.testing.assert_close(names["system"](next(names["system"].batches()), 1).total, expected)
    exec(double, names)
    assert capsys.readouterr().out == "torch.float64 torch.float64\n"


def test_lightning(names, built, monkeypatch, tmp_path):
    lightning = pytest.importorskip("lightning", reason="lightning is no requirement of development")
    monkeypatch.chdir(tmp_path)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    monkeypatch.setattr(lightning, "Trainer", partial(lightning.Trainer, **quiet))
    [block] = blocks("Lightning")
    exec(block.replace("max_steps=1060", "max_steps=2"), names)
    assert moved(names, built)


def test_accelerate(names, built):
    pytest.importorskip("accelerate", reason="accelerate is no requirement of development")
    exec(*blocks("Accelerate"), names)
    assert names["step"] == 1 and moved(names, built)


def test_a_trained_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (90, 70), "red").save("photo.png")
    train_run.run(resolve(load("itc", SMALL), Registry()), tmp_path / "runs" / "mine", Log(first=False), False)
    names: dict = {}
    exec(*blocks("A trained run"), names)
    assert names["similarity"].shape == (2, 2)
    assert torch.equal(names["pictures"][0], names["pictures"][1])
    assert capsys.readouterr().out.strip() == "torch.Size([2, 2]) 2 128"


def test_errors_are_named_as_on_the_page():
    for name in re.findall(r"`(?:vlobjectives\.errors\.)?(\w+Error)`", PAGE.read_text(encoding="utf-8")):
        assert issubclass(getattr(errors, name), errors.VlobjError)
    with pytest.raises(errors.RecipeError):
        vlobjectives.load("no run")
