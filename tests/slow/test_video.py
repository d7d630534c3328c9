"""Clips are understood as clips: with frames out of order they are found less often, and backwards they are refused.

Contrast alone, for as long as motion takes: about two minutes on two cores.
"""

import pytest

pytestmark = pytest.mark.slow

CONTRAST = (
    "run.steps=420",
    "data.test=256",
    "objectives.itm.weight=0",
    "objectives.mlm.weight=0",
    "objectives.mgsc.weight=0",
    "objectives.mltc.weight=0",
    "evaluate.losses=false",
    "evaluate.rerank=false",
    "evaluate.itm=false",
    "evaluate.words=false",
    "evaluate.completion=false",
)


@pytest.fixture(scope="module")
def summary(trained):
    return trained("glscl_video", overrides=CONTRAST)


def test_frames_out_of_order_are_found_less_often(summary):
    """R@1 in order less R@1 shuffled, paired by query."""
    score = summary["motion/clips.test/shuffled"]
    assert score["n"] == 512 and score["low"] > 0


def test_a_clip_in_reverse_is_not_what_the_caption_says(summary):
    score = summary["motion/clips.test/reversed"]
    assert score["n"] == 256 and score["low"] > score["chance"] == 0.5


@pytest.mark.parametrize("way", ["image_to_text", "text_to_image"])
@pytest.mark.parametrize("source", ["pictures", "clips"])
def test_both_are_found_by_their_captions(summary, source, way):
    score = summary[f"retrieval/{source}.test/{way}/r1"]
    assert score["low"] > score["chance"]
