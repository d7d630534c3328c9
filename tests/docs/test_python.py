"""The blocks of docs/python.md, run in order as a reader would, on few and small pictures."""

import re
from pathlib import Path

import pytest
import torch
from PIL import Image

import vlobjectives
from vlobjectives import errors
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.runs import session
from vlobjectives.runtime.log import Log

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


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


def test_page_has_a_loop_and_a_run_of_twenty_lines_at_most():
    assert ["build(" in block for block in blocks()] == [True, False]
    assert ["load(" in block for block in blocks()] == [False, True]
    assert all(len(block.splitlines()) <= 20 for block in blocks())


def test_loop_of_ones_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block = blocks()[0]
    assert '"run.steps=1060"' in block
    names: dict = {}
    exec(block.replace('"run.steps=1060"', ", ".join(map(repr, SMALL))), names)
    assert names["step"] == 1
    assert capsys.readouterr().out.startswith("0 {'itc/contrast': ")
    saved = torch.load("mine.pt", weights_only=True)
    now = names["system"].state_dict()
    fresh = names["vlobjectives"].build("glscl", *SMALL).state_dict()
    assert saved.keys() == now.keys() == fresh.keys()
    assert not torch.equal(fresh["model.joint.temperature"], saved["model.joint.temperature"])


def test_a_trained_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (90, 70), "red").save("photo.png")
    session.run(load("itc", SMALL), Registry(), tmp_path / "runs" / "mine", Log(first=False), False)
    names: dict = {}
    exec(blocks()[1], names)
    assert names["similarity"].shape == (2, 2)
    assert torch.equal(names["pictures"][0], names["pictures"][1])
    assert capsys.readouterr().out.strip() == "torch.Size([2, 2]) 2 128"


def test_errors_are_named_as_on_the_page():
    for name in re.findall(r"`(?:vlobjectives\.errors\.)?(\w+Error)`", PAGE.read_text(encoding="utf-8")):
        assert issubclass(getattr(errors, name), errors.VlobjError)
    with pytest.raises(errors.RecipeError):
        vlobjectives.load("no run")
