"""Every shipped recipe's losses on fake tensors of a GPU: nothing is left on the CPU, nothing is fetched from the GPU.

A forward pass works without a driver, a backward pass does not. `benchmarks/gpu.py` is for where there is a GPU.
"""

import pytest
import torch
from small_recipes import changed, plugin
from torch.utils._python_dispatch import TorchDispatchMode

from vlobjectives.costs import fake
from vlobjectives.costs.shape_check import build
from vlobjectives.plugin_loading.attribution import whose
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe import load
from vlobjectives.recipe.recipes import names
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import Resolved, resolve
from vlobjectives.training.schedule import live_sets

TO_CPU = torch.device("cpu")
VERSION = tuple(map(int, torch.__version__.split(".")[:2]))


class StaysThere(TorchDispatchMode):
    """Fails where numbers of the GPU are wanted on the host."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = next((arg for arg in args if isinstance(arg, torch.Tensor)), None)
        moved = isinstance(out, torch.Tensor) and given is not None and out.device == TO_CPU != given.device
        copied = func is torch.ops.aten.copy_.default and args[0].device == TO_CPU != args[1].device
        if moved or copied or func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError(f"numbers of the GPU are fetched to the host ({func})")
        return out


def trouble_on_gpu(resolved: Resolved) -> list[str]:
    """`path: what` of all that fails while the losses of every live set are computed."""
    dry = build(resolved)
    with dry.mode:
        fake.as_fake(dry.system, "cuda")
    dry.system.autocast, found = None, []
    for source in dry.fields:
        for live, step in live_sets(dry.system.weights(source), resolved.recipe.run.steps).items():
            try:
                with dry.mode, StaysThere():
                    batch = fake.fake_batch(dry.fields[source], dry.rows, source).to(torch.device("cuda"))
                    stage = dry.system.stage(step)
                    stage.seed_dropout = False  # a GPU's generator needs its driver
                    losses = dry.system(batch, step, names=live, stage=stage) if live else None
                assert losses is None or losses.total.device.type == "cuda"
            except RuntimeError as error:
                if "driver" in str(error) and VERSION < (2, 14):
                    pytest.skip(f"torch {torch.__version__} asks a GPU's driver for fake tensors too")
                blamed = whose(error)
                found.append(f"{'.'.join(map(str, blamed.path)) if blamed else '?'}: {error}")
    return found


QUICK = {"itc", "glscl", "sycoca", "mvptr", "mixed"}
"""These hold every built-in kind of pass; the others, with the published sizes, are slow."""
NEEDS = (
    "data.manifest=captions.json",
    "fields.caption.vocabulary=30522",
    "fields.caption.special={pad: 0, unknown: 100, begin: 101, end: 102, mask: 103}",
)
"""What these two leave to their data and their tokenizer."""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names()]
)
def test_losses_of_every_live_set_stay_on_the_gpu(name):
    needs = NEEDS if name.startswith("flickr8k") else ()
    try:
        found = trouble_on_gpu(resolve(load(name, ("run.device=cuda", *needs)), Registry()))
    except BuildError as error:
        assert "is not installed" in str(error), error
        pytest.skip(str(error))
    assert found == []


WRONG = {
    "left": ("torch.ones(len(image.pooled))", "devices"),
    "fetched": ("image.pooled.sum(1).cpu()", "fetched to the host"),
    "asked": ("float(image.pooled.sum())", "_local_scalar_dense"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_left_or_fetched_is_seen_and_its_owner_named(what, tmp_path):
    value, said = WRONG[what]
    plugin(
        tmp_path,
        f"""
        import torch
        from vlobjectives import InputName, Objective, ObjectiveConfig, Term, hookimpl, joint

        class Own(Objective):
            class Config(ObjectiveConfig):
                image: InputName = "image"

            def views(self, inputs):
                return {{"image": joint(inputs["image"])}}

            def forward(self, image):
                return {{"x": Term((image.pooled.sum(1) * {value}).sum(), len(image.pooled))}}

        @hookimpl
        def vlobj_components():
            return {{"objective:own": Own}}
        """,
    )
    path = changed(tmp_path, {"# Small: few objectives.": "plugins: [own.py]", "  itc: {}": "  itc: {}\n  own: {}"})
    found = trouble_on_gpu(resolve(load(path), Registry()))
    assert found and all(one.startswith("objectives.own: ") and said in one for one in found), found
