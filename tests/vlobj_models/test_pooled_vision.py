"""Attentional poolers against open_clip's and torchmultimodal's (spec/sycoca.md 1.2; property 19)."""

import pytest
import torch
from coca_numbers import close, coca, pooler_weights, tower, weights
from small_inputs import PLAIN, pictures
from torch import Tensor
from vlobj_models.pooled_vision import PooledVision, Pooler
from vlobj_models.timm_vision import TimmVision

from vlobjectives import CannotBuild


def pooler(w: dict[str, Tensor], heads: Tensor, strict: bool = True) -> Pooler:
    (queries, width), context = w["query"].shape, w["ln_k.weight"].shape[0]
    part = Pooler(queries, width, int(heads), context).double()
    part.load_state_dict(pooler_weights(w), strict=strict)
    return part


@pytest.mark.parametrize("name", ["pooler_wider_context", "pooler_same_width"])
def test_golden_of_open_clip(name):
    z = coca(name)
    part = pooler(weights(z), z["in_heads"], strict=False)
    close(part.pooled(z["in_x"]), z["out_pooled"])


def test_golden_of_the_cascade():
    z = coca("pooler_cascade")
    caption, contrast = (pooler(weights(z, f"poolers.{n}."), z["in_heads"]) for n in (0, 1))
    tokens = caption(z["in_x"])
    close(tokens, z["out_caption_tokens"])
    close(contrast(tokens)[:, 0], z["out_contrastive"])


def test_golden_of_a_tower_without_poolers():
    z = coca("vision_none")
    value = tower(TimmVision, z)(z["in_image"], None, PLAIN)
    close(value.tokens, z["out_tokens"])
    close(value.cls[:, 0] @ z["w_proj"], z["out_pooled"])


def test_golden_of_a_tower_with_one_pooler():
    z = coca("vision_single")
    part = tower(PooledVision, z, pooling="single", queries=4, pooled_width=6, pooler_heads=int(z["in_pooler_heads"]))
    value = part(z["in_image"], None, PLAIN)
    close(value.tokens, z["out_tokens"])
    close(value.cls[:, 0] @ z["w_proj"], z["out_pooled"])


def small(size: int = 16, **more) -> PooledVision:
    torch.manual_seed(0)
    config = {"patch": 4, "width": 16, "depth": 1, "heads": 2, "queries": 5, "pooler_heads": 2, "pooling": "single"}
    return PooledVision(PooledVision.Config(**config | more), pictures(size)).double().eval()


@pytest.mark.parametrize(("pooling", "tokens"), [("single", 4), ("cascade", 5), ("parallel", 5)])
def test_property_19_as_many_tokens_as_queries_whatever_the_picture(pooling, tokens):
    for size in (8, 16):
        part = small(size, pooling=pooling)
        value = part(torch.randn(2, 3, size, size).double(), None, PLAIN)
        assert value.tokens.shape == (2, tokens, 16) and value.cls.shape == (2, 1, 16)
        assert (part.spec.length, part.spec.grid, part.spec.classes) == (tokens, None, 1)


def test_property_19_a_pooler_knows_neither_order_nor_length_of_vectors():
    part, x = small().caption, torch.randn(2, 7, 16).double()
    assert (part(x) - part(x[:, torch.tensor([3, 0, 6, 5, 1, 2, 4])])).abs().max() < 1e-12
    assert (part(x) - part(x * torch.rand(2, 7, 1).add(0.5))).abs().max() < 1e-3


def test_what_contrast_reads():
    """In a cascade the class comes from the caption's tokens, in parallel from the picture."""
    for pooling, reads in (("cascade", True), ("parallel", False)):
        part, x = small(pooling=pooling), torch.randn(2, 3, 16, 16).double()
        before = part(x, None, PLAIN).cls
        torch.nn.init.normal_(part.caption.query, std=3.0)
        assert bool((part(x, None, PLAIN).cls != before).any()) is reads


def test_what_cannot_be_is_refused():
    for more, why in (({"pooler_heads": 3}, "do not divide"), ({"out": 8}, "own output map")):
        with pytest.raises(CannotBuild, match=why):
            small(**more)
