"""The published architecture at its real size (GLSCL, specification 1, 3.2): parameters and forward FLOPs, on meta."""

import pytest
import torch
from small_inputs import PLAIN, kept
from torch.utils.flop_counter import FlopCounterMode
from vlobj_models.co_attention import CoAttention
from vlobj_models.hf_text import HFText
from vlobj_models.timm_vision import TimmVision

from vlobjectives import FieldSpec, Tokens

D, N, T = 768, 324, 50
ROBERTA = {"model_type": "roberta", "type_vocab_size": 1, "layer_norm_eps": 1e-5}
SPECIAL = {"begin": 0, "pad": 1, "end": 2, "mask": 50264, "unknown": 3}


@pytest.fixture(scope="module")
def parts() -> tuple[TimmVision, HFText, CoAttention]:
    with torch.device("meta"):
        vision = TimmVision(
            TimmVision.Config(
                patch=16, width=D, depth=11, heads=12, pre_norm=True, act="quick_gelu", norm_eps=1e-5, out=D
            ),
            {"image": FieldSpec("picture", (3, 288, 288))},
        )
        text = HFText(
            HFText.Config(config=ROBERTA, out=D), {"caption": FieldSpec("tokens", (T,), 50265, special=SPECIAL)}
        )
        return vision, text, CoAttention(CoAttention.Config(width=D, depth=6, heads=12), vision.spec, text.spec)


def flops(part: torch.nn.Module, *given) -> tuple[int, object]:
    with FlopCounterMode(display=False) as counter, torch.device("meta"), torch.no_grad():
        value = part(*given, PLAIN)
    return counter.get_total_flops(), value


@pytest.mark.parametrize("count", [N, 64])
def test_flops_of_a_pass(parts: tuple, count: int):
    vision, text, fusion = parts
    draw = None if count == N else kept(torch.arange(count)[None], N).to("meta")
    n, block = count + 1, lambda k: 12 * k * D**2 + 2 * k**2 * D
    found, image = flops(vision, torch.empty(1, 3, 288, 288, device="meta"), draw)
    assert found == 2 * (N * D * D + 11 * block(n) + n * D**2)
    ids = torch.zeros(1, T, dtype=torch.int64, device="meta")
    found, words = flops(text, Tokens(ids, ids == 0, ids != 0, ids), None)
    assert found == 2 * (12 * block(T) + T * D**2)
    found, _ = flops(fusion, image, words)
    layer = 16 * (T + n) * D**2 + 2 * (T**2 + n**2) * D + 4 * T * n * D
    assert found == 2 * (6 * layer + 2 * D**2)  # and the two poolers


def test_parameters(parts: tuple):
    block = 12 * D**2 + 13 * D  # weights, biases, two norms
    linear = D**2 + D
    vision, text, fusion = (sum(p.numel() for p in part.parameters()) for part in parts)
    tables = 16 * 16 * 3 * D + (1 + N) * D + D + D  # patches, positions, class, mask token
    assert vision == tables + 11 * block + 4 * D + linear
    assert text == (50265 + (2 + T) + 1 + 2) * D + 12 * block + linear  # words, positions, type, norm
    assert fusion == 2 * D + 2 * 6 * (8 * linear + 8 * D**2 + 5 * D + 6 * D) + 2 * linear
