"""SyCoCa's small recipe learns; one run for all tests, of five minutes or so on two cores.

VLOBJ_SYCOCA_RUN names the folder of a finished run of recipes/sycoca.yaml; without it the recipe is trained here.
"""

import os

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]
SPLITS = ["test", "test_new"]


@pytest.fixture(scope="module")
def summary(trained):
    return trained("sycoca", os.environ.get("VLOBJ_SYCOCA_RUN"))


@pytest.mark.parametrize("split", SPLITS)
def test_hidden_patches_are_painted_better_with_the_caption_than_with_a_wrong_one(summary, split):
    """The mask held fixed, so that neither caption chooses what is hidden."""
    score = summary[f"painting/{split}/gain"]
    assert score["low"] > 0 and score["n"] > 500


@pytest.mark.parametrize("words", ["colours", "shapes", "all"])
def test_captions_name_what_an_unseen_scene_shows(summary, words):
    """The next word, the true ones before it given, against the unigram guess."""
    score = summary[f"naming/test/{words}"]
    assert score["low"] > score["chance"]


def test_captions_name_colours_of_combinations_that_training_never_showed(summary):
    score = summary["naming/test_new/colours"]
    assert score["low"] > score["chance"]


@pytest.mark.parametrize("name", ["itc/contrast", "ic/words", "tgmim/pixels"])
def test_held_out_loss_is_below_chance(summary, name):
    score = summary[f"losses/test/{name}"]
    assert score["high"] < score["chance"]


@pytest.mark.parametrize("way", ["image_to_text", "text_to_image"])
def test_retrieval_is_ten_times_chance(summary, way):
    score = summary[f"retrieval/test/{way}/r1"]
    assert score["low"] > 10 * score["chance"]
