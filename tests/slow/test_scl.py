"""The conference version's recipe learns: every loss below its chance level, retrieval far above it."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

ASKED = (
    "run.steps=360",
    "data.test=512",
    "data.test_new=0",
    *(f"evaluate.{name}=false" for name in ("rerank", "itm", "words", "completion", "binding", "alignment", "probe")),
)
"""Three minutes of it, and only the scores that are held here."""


@pytest.fixture(scope="module")
def summary(trained):
    return trained("scl", overrides=ASKED)


@pytest.mark.parametrize("name", ["itc/contrast", "itm/match", "mlm/words", "scl/image", "scl/text"])
def test_held_out_loss_is_below_chance(summary, name):
    score = summary[f"losses/test/{name}"]
    assert score["high"] < score["chance"]


@pytest.mark.parametrize("way", ["image_to_text", "text_to_image"])
def test_retrieval_is_ten_times_chance(summary, way):
    score = summary[f"retrieval/test/{way}/r1"]
    assert score["value"] > 10 * score["chance"]
