"""No unknown path leads from captions to the picture's side: on pictures of noise nothing that needs them is learned
(leaks L9 and L12)."""

from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

NOISE = Path(__file__).with_name("mvptr_noise.yaml")


@pytest.fixture(scope="module")
def summary(trained):
    return trained(str(NOISE))


def beyond(score) -> float:
    """How many standard errors a share lies above its chance."""
    return (score["value"] - score["chance"]) / (score["chance"] * (1 - score["chance"]) / score["n"]) ** 0.5


@pytest.mark.parametrize("way", ["image_to_text", "text_to_image"])
def test_retrieval_is_at_chance(summary, way):
    assert beyond(summary[f"retrieval/test/{way}/r1"]) < 3


def test_matching_is_at_chance_with_negatives_drawn_evenly(summary):
    assert abs(beyond(summary["itm/test/accuracy"])) < 3


def test_concepts_cost_no_less_than_to_who_does_not_look(summary):
    score = summary["losses/test/mcr/concepts"]
    error = (score["high"] - score["low"]) / 2 / 2.13  # Student's t, sixteen batches
    assert score["value"] > score["chance"] - 3 * error


def test_recovery_needs_no_picture_because_there_is_none(summary):
    gain = summary["recovery/test/gain"]
    assert gain["low"] < 0 or gain["value"] < 1e-9


def test_phrases_find_no_boxes(summary):
    score = summary["grounding/test/box"]
    assert score["low"] < score["chance"]


def test_encoded_negatives_cost_the_margin_and_no_less(summary):
    """The pairwise loss may fall: its positives share a fused sequence. This one has no such hint."""
    score = summary["losses/test/wpg_checked/grounding"]
    assert score["high"] > score["chance"]
