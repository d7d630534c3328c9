"""ALIGN-BENCH against the published arithmetic, and its properties."""

import math
from collections.abc import Iterator

import pytest
import torch
from arrays import close, golden
from edges import Edge, assert_finite, over_edges
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from vlobj_glscl import align_bench as a

few = settings(max_examples=30)
positive = st.integers(0, 10**6).map(
    lambda seed: torch.rand(2, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.01
)


@pytest.mark.parametrize("number", [0, 1])
def test_golden(number: int) -> None:
    z = golden(f"align_{number}")
    grid = (int(z["in_grid"]),) * 2
    boxes, pixels, owner = z["in_boxes"], z["in_pixel_masks"], z["in_box_phrase"]
    size, phrases = tuple(pixels.shape[1:]), z["in_phrases"].tolist()
    whole, tokens = a.maps_of(z["in_cross_attention"], grid)
    close(whole, z["out_global_map"])
    close(a.resize_mask(a.region_mask(boxes, size, largest=a.LARGEST), grid), z["out_global_box_mask"])
    close(a.resize_mask(a.region_mask(boxes, size, pixels, a.LARGEST), grid), z["out_global_pixel_mask"])
    close(a.global_score(whole, boxes, size), z["out_global_box"])
    close(a.global_score(whole, boxes, size, pixels), z["out_global_pixel"])
    words, maps = a.join_words(z["in_tokens"].tolist(), tokens)
    assert words == z["out_words"].tolist()
    close(maps, z["out_word_maps"])
    assert [a.find_phrase(words, phrase) for phrase in phrases] == z["out_phrase_word_index"].tolist()
    for kind, masks in (("box", None), ("pixel", pixels)):
        scores = a.local_scores(words, maps, phrases, owner, boxes, size, masks)
        close(scores, z[f"out_local_{kind}_each"])
        close(scores.mean(), z[f"out_local_{kind}"])


# ---- properties


@given(positive, st.floats(1e-6, 1e6))
@few
def test_scale_of_a_map_does_not_matter(pair: Tensor, factor: float) -> None:
    mask, map = pair
    torch.testing.assert_close(a.score(mask, factor * map), a.score(mask, map), rtol=1e-12, atol=0)


@given(positive)
@few
def test_full_masks_and_uniform_maps(pair: Tensor) -> None:
    mask, map = pair
    one = torch.ones((), dtype=torch.float64)
    torch.testing.assert_close(a.score(torch.ones_like(map), map), one, rtol=0, atol=1e-14)
    torch.testing.assert_close(a.score(mask, torch.full_like(map, 0.3)), mask.mean(), rtol=0, atol=1e-14)
    full = a.resize_mask(torch.ones(31, 47, dtype=torch.float64), (5, 6))
    torch.testing.assert_close(full, torch.ones(5, 6, dtype=torch.float64), rtol=0, atol=1e-14)


@given(positive, st.integers(1, 39), st.integers(1, 29))
@few
def test_disjoint_regions_add(pair: Tensor, x: int, y: int) -> None:
    _, map = pair
    parts = torch.tensor([[0.0, 0.0, x, 30.0], [x, 0.0, 40.0, y], [x, y, 40.0, 30.0]])
    masks = [a.resize_mask(a.region_mask(part[None], (30, 40)), (5, 6)) for part in parts]
    whole = a.resize_mask(a.region_mask(parts, (30, 40)), (5, 6))
    summed = sum(a.score(mask, map) for mask in masks)
    torch.testing.assert_close(a.score(whole, map), summed, rtol=0, atol=1e-13)
    torch.testing.assert_close(summed, torch.ones((), dtype=torch.float64), rtol=0, atol=1e-13)


def test_a_map_of_zeros_scores_zero() -> None:
    assert a.score(torch.ones(2, 2), torch.zeros(2, 2)) == 0


# ---- masks


def cubic(x: float) -> float:
    x, c = abs(x), -0.75
    if x <= 1:
        return (c + 2) * x**3 - (c + 3) * x**2 + 1
    return c * x**3 - 5 * c * x**2 + 8 * c * x - 4 * c if x < 2 else 0.0


def along(length: int, size: int) -> Tensor:
    """Weights [size, length] of one axis, from the definition."""
    weights = torch.zeros(size, length, dtype=torch.float64)
    for i in range(size):
        source = (i + 0.5) * length / size - 0.5
        for tap in range(math.floor(source) - 1, math.floor(source) + 3):
            weights[i, min(max(tap, 0), length - 1)] += cubic(source - tap)
    return weights


def test_resize_is_cubic_without_antialias_or_clamping() -> None:
    mask = (torch.rand(33, 47, generator=torch.Generator().manual_seed(0)) < 0.5).double()
    resized = a.resize_mask(mask, (18, 7))
    torch.testing.assert_close(resized, along(33, 18) @ mask @ along(47, 7).T, rtol=0, atol=1e-12)
    assert resized.min() < 0 and resized.max() > 1


def test_regions() -> None:
    boxes = torch.tensor([[1.9, 0.2, 3.9, 2.7], [-2.0, 1.0, 1.0, 9.0]])
    mask = a.region_mask(boxes, (4, 5))
    assert mask.tolist() == [[0, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    pixels = torch.zeros(2, 4, 5, dtype=torch.bool)
    pixels[0, 3, 4] = pixels[1, 3, 3] = pixels[1, 3, 4] = True
    assert a.region_mask(boxes, (4, 5), pixels).nonzero().tolist() == [[3, 3], [3, 4]]


def test_only_regions_above_nine_tenths_are_skipped() -> None:
    """And only in the global score, whatever their pixels cover; with none left it is 0."""
    at, above = torch.tensor([[0.0, 0.0, 9.0, 10.0]]), torch.tensor([[0.0, 0.0, 9.1, 10.0]])
    map = torch.ones(2, 2, dtype=torch.float64)
    pixels = torch.zeros(1, 10, 10, dtype=torch.bool)
    pixels[0, :5] = True
    assert a.global_score(map, at, (10, 10)) > 0.8
    assert a.global_score(map, above, (10, 10)) == 0
    assert a.global_score(map, above, (10, 10), pixels) == 0
    local = a.local_scores(["a"], map[None], ["a"], torch.tensor([0]), above, (10, 10), pixels)
    assert local.item() == pytest.approx(0.5)


# ---- words


def test_words_of_tokens() -> None:
    tokens = ["Two", "\u0120d", "ogs", ",", "\u0120.", ".", "\u0120", "x", "."]
    maps = 10.0 ** torch.arange(9).reshape(9, 1, 1)
    words, sums = a.join_words(tokens, maps)
    assert words == ["Two", "dogs", ".", "x"]  # a stop after a blank is a word, as published
    assert sums.flatten().tolist() == [1, 110, 1e4, 11e6]
    assert a.join_words(["."], maps[:1])[0] == ["."]  # the first token opens a word, whatever it is
    assert a.join_words(["\u0120a"], maps[:1])[0] == ["a"]
    assert a.join_words([], maps[:0])[0] == []
    with pytest.raises(ValueError, match="2 tokens have 9 maps"):
        a.join_words(["a", "b"], maps)


def test_phrases() -> None:
    words = ["A", "dog", "sees", "a", "dog", "run"]
    found = {"dog": 1, "a dog run": 3, "dog run": 4, "run away": 0, "cat": 0, "Dog": 0, "a": 0, "run": 5}
    assert {phrase: a.find_phrase(words, phrase) for phrase in found} == found
    maps = torch.arange(1.0, 7.0).reshape(6, 1, 1)
    assert a.phrase_map(words, maps, "dog run").item() == 5 + 6
    assert a.phrase_map(words, maps, "big cat").item() == 1 + 2  # no match: the caption's first two words


def of_alignment(e: Edge, n: int, d: int) -> Iterator[Tensor]:
    maps = e.rows(n, d).abs()
    yield a.score(torch.ones(n, d, dtype=e.dtype), maps)
    whole, each = a.maps_of(e.rows(2, n + 2, 1 + d * d), (d, d))
    yield whole
    yield a.join_words(["a"] * n, each)[1]
    yield a.phrase_map(["a"] * n, each, "nothing of it")
    yield a.resize_mask(e.rows(n, d), (3, 3))


@over_edges
def test_values_and_gradients_are_finite(edge: Edge, n: int, d: int) -> None:
    assert_finite(edge, of_alignment(edge, n, d))
