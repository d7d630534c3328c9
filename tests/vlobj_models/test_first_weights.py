"""Where weights start that no checkpoint brings (docs/fidelity.md says which are published)."""

import pytest
import torch
from torch import nn
from vlobj_models.co_attention import CoAttention
from vlobj_models.cross_decoder import CrossDecoder
from vlobj_models.merged_attention import MergedAttention
from vlobj_models.pooled_vision import Pooler
from vlobj_models.projection import JointProjection

from vlobjectives import Spec

WIDE = Spec(width=192, pooled=192, length=20, grid=(4, 4), classes=1, can=frozenset({"causal"}))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("layers", ["linear", "mlp"])
def test_joint_projections_start_as_torchs_linear_layers(layers):
    """Uniform up to the inverse root of the width: a third of the variance of N(0, 1/width)."""
    part = JointProjection(JointProjection.Config(width=128, layers=layers), WIDE, WIDE)
    for layer in (layer for layer in part.modules() if isinstance(layer, nn.Linear)):
        bound = layer.in_features**-0.5
        assert layer.weight.abs().max() <= bound
        assert layer.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize("fusion", [CoAttention, MergedAttention])
def test_fusions_and_their_poolers_start_from_a_small_normal(fusion):
    part = fusion(fusion.Config(width=192, depth=1, heads=4), WIDE, WIDE)
    linear = [layer for layer in part.modules() if isinstance(layer, nn.Linear)]
    assert any(layer.in_features == layer.out_features == 192 for layer in linear)
    for layer in linear:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.05) and not layer.bias.any()


def test_queries_of_poolers_are_standard_normal():
    assert Pooler(64, 192, 4, 192).query.std().item() == pytest.approx(1.0, rel=0.05)


def test_decoders_start_scaled_by_width_and_depth():
    part = CrossDecoder(
        CrossDecoder.Config(query="text", memory="vision", width=192, depth=3, heads=4, causal=True), WIDE, WIDE
    )
    for block in (part.self_blocks[1], part.cross_blocks[1]):
        wanted = {block.attention.key.weight: 192**-0.5, block.attention.out.weight: 192**-0.5 * 6**-0.5}
        for weight, std in wanted.items():
            assert weight.std().item() == pytest.approx(std, rel=0.05)
