"""Questions about scenes: a GLSCL run answers better than who sees no picture, and than the same model from scratch.

VLOBJ_MAIN_RUN names the folder of a finished run of recipes/glscl.yaml; without it the recipe is trained here.
"""

import os
from pathlib import Path

import pytest
import torch
from vlobj_common.evaluations.answering import answered

from vlobjectives.data.data_module import build_data
from vlobjectives.evaluation import context
from vlobjectives.functional.statistics import paired_interval
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.run_folder import RunFolder
from vlobjectives.system import assemble, checkpoint

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.fixture(scope="module")
def runs(placed):
    """Folders of recipes/vqa.yaml, begun from the main run and from first weights."""
    main = placed("glscl", os.environ.get("VLOBJ_MAIN_RUN"))
    many = ["data.test=4096", "data.test_new=0"]  # a few points between the two want many questions
    return {"init": placed("vqa", overrides=[f"init={main}", *many]), "scratch": placed("vqa", overrides=many)}


def right(place: Path) -> torch.Tensor:
    """Which questions of the test split a run answers, 0 or 1, [n]."""
    resolved, folder = resolve(load(place), Registry()), RunFolder(place)
    recipe = resolved.recipe
    made = build_data(resolved)
    made.fields.load(folder.fields)
    system = assemble.system(resolved, made).eval()
    checkpoint.load_weights(system, checkpoint.newest(folder.checkpoints)[0].folder)
    held = context.SplitContext(
        system, made.source, made.fields, "test", recipe.seed, recipe.data.batch, torch.device("cpu")
    )
    return answered(held, context.evaluations(resolved, "", made.source.has)["vqa"])[1]


def test_it_beats_the_best_guess_without_a_picture(runs, trained):
    summary = trained("vqa", runs["init"])
    score, guess = (summary[f"vqa/test/{name}"] for name in ("accuracy", "question_only"))
    assert score["low"] > guess["high"] and score["chance"] == guess["value"] > 0.3


def test_pretraining_answers_more_of_the_same_questions(runs, trained):
    """The paired 95 % interval of the difference, question by question."""
    hits = {name: right(place) for name, place in runs.items()}
    for name, place in runs.items():
        assert hits[name].mean() == pytest.approx(trained("vqa", place)["vqa/test/accuracy"]["value"], abs=0.01)
    difference, low, high = paired_interval(hits["init"].tolist(), hits["scratch"].tolist())
    assert low > 0, (difference, low, high)


def test_held_out_loss_is_below_chance(runs, trained):
    score = trained("vqa", runs["init"])["losses/test/vqa/answer"]
    assert score["high"] < score["chance"]
