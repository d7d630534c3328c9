"""MVPTR's two small recipes learn: concepts from the picture, contrast, and where a phrase's thing is."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]
STEPS = {"mvptr": 440, "mvptr_patch": 420}
"""Of 640 and 600, which take four minutes each; three do."""


@pytest.fixture(scope="module", params=STEPS)
def summary(request, trained):
    return trained(request.param, overrides=[f"run.steps={STEPS[request.param]}", "data.test_new=0"])


@pytest.mark.parametrize("name", ["mcr/concepts", "vsc/contrast", "mlm/words", "itm/match", "wpg/grounding"])
def test_held_out_loss_is_below_chance(summary, name):
    score = summary[f"losses/test/{name}"]
    assert score["high"] < score["chance"]


def test_concepts_are_recovered_more_often_than_by_the_unigram_guess(summary):
    score = summary["recovery/test/right"]
    assert score["low"] > score["chance"]


def test_recovery_needs_the_picture(summary):
    """With another sample's regions (slots: picture) it is worse."""
    assert summary["recovery/test/gain"]["low"] > 0


@pytest.mark.parametrize("way", ["image_to_text", "text_to_image"])
def test_retrieval_is_above_chance(summary, way):
    score = summary[f"retrieval/test/{way}/r1"]
    assert score["low"] > score["chance"]


def test_a_phrase_finds_its_box(summary):
    score = summary["grounding/test/box"]
    assert score["low"] > score["chance"]
