"""The conference version's recipe learns: every loss below its chance level, retrieval far above it."""

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def summary(trained):
    return trained("scl")


@pytest.mark.parametrize("name", ["itc/contrast", "itm/match", "mlm/words", "scl/image", "scl/text"])
def test_held_out_loss_is_below_chance(summary, name):
    score = summary[f"losses/test/{name}"]
    assert score["high"] < score["chance"]


@pytest.mark.parametrize("way", ["image_to_text", "text_to_image"])
def test_retrieval_is_ten_times_chance(summary, way):
    score = summary[f"retrieval/test/{way}/r1"]
    assert score["value"] > 10 * score["chance"]
