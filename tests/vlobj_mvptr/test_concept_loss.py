"""Concepts named by slots: published numbers (MVPTR, specification 3.1, 9.3) and properties."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from arrays import close, leaf, load
from edges import Edge, assert_finite, over_edges
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear
from vlobj_mvptr.concept_loss import set_logits, set_nll

from vlobjectives.functional import gather_tokens, mask_to_indices

MVPTR = Path(__file__).parents[1] / "golden" / "mvptr"


def golden(name: str) -> dict[str, Tensor]:
    return load(MVPTR / f"{name}.npz")


def word_head(x: Tensor, z: dict[str, Tensor]) -> Tensor:
    x = gelu(linear(x, z["w_dense_w"], z["w_dense_b"]))
    x = layer_norm(x, x.shape[-1:], z["w_ln_g"], z["w_ln_b"], 1e-12)
    return linear(x, z["w_dec_w"], z["w_dec_b"])


@pytest.mark.parametrize("name", ["mcr_a", "mcr_b", "mlm_a", "mlm_b"])
def test_golden_of_masked_pieces(name: str) -> None:
    """Each scored position is a row of one concept; the mean is over positions, not over samples first."""
    z = golden(name)
    x, labels = z["in_vis_out" if name.startswith("mcr") else "in_joint_out"], z["in_labels"]
    index, ok = mask_to_indices(labels >= 0, labels.shape[1])
    logits = word_head(gather_tokens(x, index), z)
    close(logits[ok], z["out_logits"])
    values = set_nll(logits.flatten(0, 1), gather_tokens(labels, index).flatten()[:, None], ok.flatten()[:, None])
    assert ok.sum() == z["out_n"]
    close(values.sum() / ok.sum(), z["out_loss"])


@pytest.mark.parametrize("name", ["patch_mcr_a", "patch_mcr_b"])
def test_golden_of_slots(name: str) -> None:
    z = golden(name)
    slots = word_head(z["in_query_out"], z)
    close(slots, z["out_slot_logits"])
    close(set_logits(slots), z["out_logits"])
    ids, valid = mask_to_indices(z["in_targets"] > 0, z["in_targets"].shape[1])
    values = set_nll(set_logits(slots), ids, valid)
    counted = valid.any(1)
    assert torch.equal(counted.long(), z["out_valid"])
    close(values[counted], z["out_per_image"][counted])
    close(values.sum() / counted.sum(), z["out_loss"])


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(2, 6))
@settings(max_examples=30)
def test_order_is_nothing_and_equal_slots_are_one(seed: int, slots: int, concepts: int) -> None:
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(3, slots, 8, dtype=torch.float64, generator=g)
    ids = torch.rand(3, 8, generator=g).argsort(dim=1)[:, :concepts]
    valid = torch.rand(3, concepts, generator=g) < 0.6
    wanted = set_nll(set_logits(z), ids, valid)
    assert torch.allclose(set_nll(set_logits(z.flip(1)), ids.flip(1), valid.flip(1)), wanted, atol=1e-12)
    assert torch.allclose(set_logits(z[:, :1].expand(-1, slots, -1)), z[:, 0], atol=1e-12)
    by_hand = [
        -sum(math.log(row.softmax(0)[c]) for c in chosen) / max(1, len(chosen))
        for row, chosen in zip(set_logits(z), (i[v].tolist() for i, v in zip(ids, valid)))
    ]
    assert torch.allclose(wanted, torch.tensor(by_hand, dtype=torch.float64), atol=1e-12)


@pytest.mark.parametrize("most", [1, 3])
def test_equal_logits_cost_ln_v_and_no_concept_is_a_differentiable_zero(most: int) -> None:
    valid = torch.arange(most) < torch.tensor([[most], [0]])
    ids = torch.where(valid, torch.arange(most), 999)  # what stands where nothing is valid is not read
    z = leaf(torch.zeros(2, 7, dtype=torch.float64))
    values = set_nll(z, ids, valid)
    assert values.tolist() == pytest.approx([math.log(7), 0])
    values.sum().backward()
    assert z.grad[0].any() and not z.grad[1].any()


def of_concepts(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    for most in (1, min(2, d)):
        logits = set_logits(e.rows(n, 2, d) * 50)
        yield set_nll(logits, e.below(d, n, most), e.where(n, most))


@over_edges
def test_values_and_gradients_are_finite(edge: Edge, n: int, d: int) -> None:
    assert_finite(edge, of_concepts(edge, n, d))
