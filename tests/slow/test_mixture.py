"""Objectives of three papers in one model learn side by side: each below its chance level, and pictures are found."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

LOSSES = ["itc/contrast", "ic/words", "tgmim/pixels", "mcr/concepts", "mgsc/image", "mgsc/text"]


@pytest.fixture(scope="module")
def summary(trained):
    """Three minutes of it: as long as the pictures of single things that it begins with are a third of the steps."""
    return trained("mixed", overrides=["run.steps=240", "data.samples=5120", "evaluate.captioning=false"])


@pytest.mark.parametrize("name", LOSSES)
def test_held_out_loss_is_below_chance(summary, name):
    score = summary[f"losses/test/{name}"]
    assert score["high"] < score["chance"]


@pytest.mark.parametrize("way", ["image_to_text", "text_to_image"])
def test_retrieval_is_above_chance(summary, way):
    score = summary[f"retrieval/test/{way}/r1"]
    assert score["low"] > score["chance"]


def test_every_loss_of_the_recipe_has_a_bar(summary):
    assert {name.removeprefix("losses/test/") for name in summary if name.startswith("losses/test/")} == set(LOSSES)
