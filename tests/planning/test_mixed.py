"""The recipe that mixes papers: what they share, and that nobody's losses or gradients hang on who else is there."""

from functools import cache

import pytest
import torch
from planned import registry

import vlobjectives
from vlobjectives.recipe import dump, load
from vlobjectives.resolved.tiny import tiny
from vlobjectives.testing.check import gradients, same, same_gradients
from vlobjectives.testing.objective_steps import own, weighted

NAMES = ("itc", "ic", "tgmim", "mcr", "mgsc")
PAPERS = {"tgmim": "SyCoCa", "mgsc": "GLSCL", "mcr": "MVPTR"}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """`build(*overrides)`: the tiny form of the recipe in float64, in eval mode."""
    path = tmp_path_factory.mktemp("mixed") / "mixed.yaml"
    path.write_text(dump(tiny(load("mixed"), registry())[0].recipe), encoding="utf-8")

    @cache
    def made(*overrides):
        return vlobjectives.build(path, *overrides).double().eval()

    return made


@pytest.fixture(scope="module")
def batch(build):
    return next(build().batches()).map(lambda x: x.double() if x.is_floating_point() else x)


def test_it_mixes_papers(build):
    objectives = build().objectives
    assert set(objectives) == set(NAMES)
    for name, paper in PAPERS.items():
        assert paper in objectives[name].paper


def test_passes_of_one_paper_serve_another(build):
    passes = {work.key.title: work.consumers for work in build().plan(NAMES).passes}
    assert {"tgmim", "mgsc"} <= set(passes["vision(image * spoken)"])
    assert {"itc", "ic", "mcr", "mgsc", "mask spoken"} <= set(passes["vision(image)"])
    assert sum(name.startswith("vision(") for name in passes) == sum(name.startswith("text(") for name in passes) == 2


def test_sharing_changes_nothing(build, batch):
    """Value and gradients at 1e-9."""
    mix, apart = build(), build("plan.share=none")
    wanted, found = mix(batch, 0), apart(batch, 0)
    for key in wanted.terms:
        same(found.value(key), wanted.value(key), key)
    same_gradients(gradients(apart, found.total), gradients(mix, wanted.total))
    assert torch.isfinite(wanted.total)


@pytest.mark.parametrize(
    "name", [name if name in PAPERS else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
)
def test_each_objective_is_what_it_is_alone(build, batch, name):
    """Value and gradients at 1e-9: in the mix, and in a recipe without the others."""
    mix, alone = build(), build(*(f"objectives.{other}=null" for other in NAMES if other != name))
    wanted, losses = mix(batch, 0), alone(batch, 0)
    assert own(losses, name)
    for key, value in own(losses, name).items():
        same(value, own(wanted, name)[key], f"{key} alone")
    same_gradients(gradients(alone, weighted(losses, name)), gradients(mix, weighted(wanted, name)))
