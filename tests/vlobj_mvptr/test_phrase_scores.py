"""Phrases that find regions: published numbers (MVPTR, specification 3.4) and properties (7.19 to 7.25)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from arrays import close, load
from edges import Edge, assert_finite, over_edges
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from vlobj_mvptr.phrase_scores import grounding_score, similarities

MVPTR = Path(__file__).parents[1] / "golden" / "mvptr"
SEED = st.integers(0, 10**6)
few = settings(max_examples=30)


def golden(name: str) -> dict[str, Tensor]:
    return load(MVPTR / f"{name}.npz")


def within(span: Tensor, length: int) -> Tensor:
    place = torch.arange(length)
    return (place >= span[:, :1]) & (place < span[:, 1:])


def uniforms(picks: Tensor, phrase: Tensor) -> Tensor:
    """[N,L] numbers in [0,1) that take the given ranks of three."""
    u = torch.zeros(phrase.shape)
    u[phrase] = (picks + 0.5) / 3
    return u


@pytest.mark.parametrize("name", ["wpg_sample_a", "wpg_sample_b"])
def test_golden_of_pairwise_scores(name: str) -> None:
    z = golden(name)
    x, other, k = z["in_joint_out"], z["in_neg_image"], int(z["in_k"])
    phrase, region = (within(z[f"in_{of}_span"], x.shape[1]) for of in ("phrase", "region"))
    close(
        similarities(x.flatten(0, 1)[None], x.flatten(0, 1)[None])[0][phrase.flatten()][:, region.flatten()],
        z["out_sims"],
    )
    for rule, tail in (("pick", ""), ("max", "_max"), ("mean", "_top3mean")):
        scores = {}
        for of, image in (("pos", torch.arange(len(x))), ("neg", other)):
            scores[of] = grounding_score(
                similarities(x, x[image]), phrase, region[image], k, rule, uniforms(z[f"in_pick_{of}"], phrase)
            )
            close(scores[of], z[f"out_{of}{tail}"])
        hinge = (scores["neg"] + z["in_margin"] - scores["pos"]).clamp_min(0)
        valid = phrase.any(1)
        assert torch.equal(valid.long(), z["out_valid"])
        close(hinge[valid].mean(), z[f"out_loss{tail}"])


def test_golden_of_encoded_negatives() -> None:
    z = golden("wpg_hard_a")
    x, wrong, length = z["in_joint_out"], z["in_neg_joint_out"], z["in_joint_out"].shape[1]
    phrase, region = (within(z[f"in_{of}_span"], length) for of in ("phrase", "region"))
    theirs, there = phrase[z["in_neg_text"]], region[z["in_neg_image"]]
    own = grounding_score(similarities(x, x), phrase, region, 3, "pick", uniforms(z["in_pick_pos"], phrase))
    other = grounding_score(similarities(wrong, wrong), theirs, there, 3, "pick", uniforms(z["in_pick_neg"], theirs))
    close(own, z["out_pos"])
    close(other, z["out_neg"])
    hinge = (other + z["in_margin"] - own).clamp_min(0)
    close(hinge, z["out_hinge"])
    close(hinge[phrase.any(1) & theirs.any(1)].mean(), z["out_loss"])


def random(seed: int, phrases: int = 3, regions: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    g = torch.Generator().manual_seed(seed)
    similarity = torch.rand(4, phrases, regions, generator=g, dtype=torch.float64) * 2 - 1
    return similarity, torch.rand(4, phrases, generator=g) < 0.6, torch.rand(4, regions, generator=g) < 0.6


@given(SEED, st.integers(1, 5))
@few
def test_max_is_above_mean_and_pick_lies_between_the_nearest_and_the_kth(seed: int, k: int) -> None:
    given = random(seed)
    most, mean = (grounding_score(*given, k, rule) for rule in ("max", "mean"))
    assert (most >= mean - 1e-12).all() and (most.abs() <= 1).all()
    first, last = (grounding_score(*given, k, "pick", torch.full((4, 3), u)) for u in (0.0, 1 - 2**-24))
    assert torch.allclose(first, most) and (last <= mean + 1e-12).all()


@given(SEED)
@few
def test_fewer_regions_than_k_are_all_taken_and_hidden_ones_are_not_read(seed: int) -> None:
    similarity, phrase, region = random(seed)
    region[:, 0] = True
    spoiled = similarity.masked_fill(~region[:, None], 1e9)
    for rule in ("max", "mean"):
        assert torch.equal(
            grounding_score(spoiled, phrase, region, 3, rule), grounding_score(similarity, phrase, region, 3, rule)
        )
    all_taken = grounding_score(similarity, phrase, region, 99, "mean")
    for row in range(4):
        found = similarity[row][phrase[row]][:, region[row]]
        assert all_taken[row].item() == pytest.approx(found.mean().item() if found.numel() else 0.0)


@given(SEED)
@few
def test_order_of_regions_is_nothing(seed: int) -> None:
    similarity, phrase, region = random(seed)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    for rule in ("max", "mean"):
        assert torch.allclose(
            grounding_score(similarity[:, :, order], phrase, region[:, order], 3, rule),
            grounding_score(similarity, phrase, region, 3, rule),
        )


def test_pick_tends_to_mean_over_draws() -> None:
    similarity, phrase, region = random(3)
    g = torch.Generator().manual_seed(0)
    drawn = torch.stack(
        [grounding_score(similarity, phrase, region, 3, "pick", torch.rand(4, 3, generator=g)) for _ in range(4000)]
    )
    assert (drawn.mean(0) - grounding_score(similarity, phrase, region, 3, "mean")).abs().max() < 0.06


def test_scale_of_a_token_is_nothing() -> None:
    a, b = torch.randn(2, 2, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(similarities(3 * a, 0.1 * b), similarities(a, b))


def test_no_phrase_or_no_region_is_a_differentiable_zero() -> None:
    similarity, phrase, region = random(1)
    similarity.requires_grad_()
    for p, r in ((torch.zeros_like(phrase), region), (phrase, torch.zeros_like(region))):
        score = grounding_score(similarity, p, r, 3, "mean")
        assert not score.any()
        assert not torch.autograd.grad(score.sum(), similarity)[0].any()


def of_grounding(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    for rule in ("pick", "max", "mean"):
        alike = similarities(e.rows(n, 3, d), e.rows(n, 4, d))
        yield alike
        yield grounding_score(alike, e.where(n, 3), e.where(n, 4), 3, rule, torch.rand(n, 3, generator=e.generator))


@over_edges
def test_values_and_gradients_are_finite(edge: Edge, n: int, d: int) -> None:
    assert_finite(edge, of_grounding(edge, n, d))
