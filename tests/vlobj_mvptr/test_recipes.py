"""What MVPTR's recipes run, and that the published size is that of the paper's model (specification 1.7, 5)."""

from collections import Counter

import pytest
import torch

from vlobjectives.costs.measure import measure
from vlobjectives.data.data_module import build_data
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.system import assemble

D, TEXT, TAGS, REGIONS = 768, 40, 20, 50


@pytest.mark.parametrize("name", ["mvptr", "mvptr_patch", "mvptr_base"])
def test_one_text_one_visual_and_two_fused(name):
    resolved = resolve(load(name), Registry())
    with torch.device("meta"):
        system = assemble.system(resolved, build_data(resolved, described=True))
    names = system.live(resolved.recipe.run.steps - 1)
    planned, published, alone = (
        Counter(work.key.part for work in system.plan(names, share).passes)
        for share in ("all", resolved.recipe.plan.published, [(name,) for name in names])
    )
    assert planned == {"vision": 1, "text": 1, "fusion": 2, "joint": 2}
    assert planned == published  # all at once
    assert alone["fusion"] == 4  # mlm, itm twice, wpg


def layers(n: int) -> float:
    """GFLOP of six BERT layers on n positions: 24 D^2 each, and 4 n D for attention."""
    return 6 * n * (24 * D**2 + 4 * n * D) / 1e9


def test_the_published_size():
    found = measure(resolve(load("mvptr_base"), Registry()))
    flops = {
        part: [one.flops / found.micro_batch / 1e9 for one in found.passes if one.part == part]
        for part in ("text", "vision", "fusion")
    }
    text, visual, fused = (layers(n) for n in (TEXT, TAGS + REGIONS, TEXT + REGIONS))
    assert (text, visual, fused) == pytest.approx((3.427, 6.036, 7.793), abs=0.001)
    assert flops["text"] == pytest.approx([text], abs=0.01)
    assert flops["vision"] == pytest.approx([visual + REGIONS * 2 * 2054 * D / 1e9], abs=0.01)
    assert flops["fusion"] == pytest.approx([fused, fused], abs=0.01)
    assert sum(found.parameters.values()) / 1e6 == pytest.approx(199, abs=1.5)  # tied
