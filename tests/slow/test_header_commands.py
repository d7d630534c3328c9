"""Every shipped recipe starts with the command of its own header: on ten lines of data and what its names stand for."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import stand_ins

from vlobjectives.recipe.recipes import find, names

pytestmark = pytest.mark.slow

SHORT = (
    "run.steps=2",
    "run.device=cpu",
    "run.precision=fp32",
    "run.checkpoint=null",
    "optim.schedule.warmup=0",
    "data.workers=0",
    "evaluate.every=null",
    "evaluate.losses=false",
)
FUSED = ("model.fusion.width=48", "model.fusion.depth=1", "model.fusion.heads=2", "model.joint.width=16")
GLSCL = (
    *FUSED,
    "model.vision.depth=1",
    "model.vision.out=48",
    "model.text.out=48",
    "evaluate.retrieval.gallery=2",
    *(
        f"model.text.config.{key}"
        for key in ("hidden_size=48", "num_hidden_layers=1", "num_attention_heads=2", "intermediate_size=96")
    ),
)
TOWERS = ("vision", "text", "captioner")
FEW = ("samples=64", "val=16", "test=16", "test_new=0")
SMALL = {
    "glscl_video": (*(f"data.mix.pictures.{few}" for few in FEW), "data.batch=4"),
    "vqa": (*(f"data.{few}" for few in FEW), "data.batch=8"),
    "glscl_base": (*GLSCL, "data.batch=4", "data.micro_batch=2"),
    "glscl_video_base": (*GLSCL, "data.batch=4", "data.micro_batch=2"),
    "sycoca_base": (
        *(f"model.{part}.{key}" for part in TOWERS for key in ("width=48", "depth=1", "heads=2")),
        "model.painter.width=48",
        "model.painter.depth=1",
        "model.painter.heads=2",
        "model.joint.width=16",
        "data.batch=4",
        "data.micro_batch=2",
        "evaluate.retrieval.gallery=2",
    ),
    "mvptr_base": (
        *FUSED[:3],
        "model.joint.width=48",
        "model.vision.width=48",
        "model.vision.depth=1",
        "model.vision.heads=2",
        *(
            f"model.text.config.{key}"
            for key in ("hidden_size=48", "num_hidden_layers=1", "num_attention_heads=2", "intermediate_size=96")
        ),
        "data.batch=4",
        "data.micro_batch=2",
        "objectives.vsc.group=2",
        "objectives.wpg.group=2",
        "pairings.hardest.group=2",
        "evaluate.retrieval.gallery=2",
        "evaluate.rerank.top=2",
    ),
}


def commands(recipe: Path) -> list[list[str]]:
    """The `vlobj run` lines of a recipe's header, as words; one without any is run by its name."""
    head = []
    for line in recipe.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        head.append(line[1:].strip())
    found = re.findall(r"vlobj run (?:[^\n\\']|'[^']*'|\\\n)+", "\n".join(head))
    return [shlex.split(each.replace("\\\n", " ").replace("\n", " ")) for each in found] or [
        ["vlobj", "run", recipe.stem]
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder with `data` and `hub`."""
    folder = tmp_path_factory.mktemp("headers")
    stand_ins.data(folder / "data")
    stand_ins.hub(folder / "hub")
    return folder


def given(words: list[str], place: Path) -> list[str]:
    """A header's command on the stand-ins: its paths are theirs, and one process stands for several."""
    words = [word.replace("/data/", f"{place}/data/") for word in words if word not in ("--nproc", "8")]
    return [word.replace("manifest: captions.json", "manifest: clips.json") for word in words]


# Those without a line in their header run tiny in tests/cli; test_flickr8k.py runs flickr8k_small's on real photos.
WITH = [name for name in names() if len(commands(find(name))[0]) > 3 and name != "flickr8k_small"]


@pytest.mark.parametrize("name", WITH)
def test_the_command_of_a_header_starts(name, place):
    for words in commands(find(name)):
        environment = os.environ | {"HF_HUB_CACHE": str(place / "hub"), "HF_HUB_OFFLINE": "1"}
        line = [*given(words, place), *SHORT, *SMALL.get(name, ())]
        ended = subprocess.run(
            [sys.executable, "-m", "vlobjectives", *line[1:]],
            cwd=place / "data",
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=600,
        )
        assert ended.returncode == 0, f"{shlex.join(line)}\n{ended.stdout}\n{ended.stderr}"
