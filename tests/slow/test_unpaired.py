"""Pairs, texts alone and pictures alone in one run: each objective learns, on every source that feeds it."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.long]

TRAINED = {
    "pairs": {"itc/contrast", "itm/match", "mlm/words", "mim/pixels"},
    "texts": {"mlm/words"},
    "pictures": {"mim/pixels"},
}
SMALL = """\
data.image_size=32 data.batch=32 data.samples=3840 data.val=0 data.test=256 data.test_new=0 data.counts=[1,0,0,0]
data.evaluation_counts=[1,0,0,0] data.twins=0 data.mix.pairs.weight=4 model.vision.width=64 model.vision.depth=2
model.text.config.hidden_size=64 model.text.config.intermediate_size=128 model.fusion.width=64 model.painter.width=64
model.joint.width=64 optim.lr=2e-3 run.steps=540 run.precision=fp32 evaluate.retrieval.gallery=64"""
"""Scenes of single things, on which a model of 64 channels learns to match in 360 batches of pairs."""


@pytest.fixture(scope="module")
def summary(trained):
    return trained("unpaired", overrides=SMALL.split())


@pytest.mark.parametrize("source", TRAINED)
def test_held_out_losses_of_a_source_are_below_chance(summary, source):
    scores = {
        name.removeprefix(f"losses/{source}.test/"): score
        for name, score in summary.items()
        if name.startswith(f"losses/{source}.test/") and name != "losses/pairs.test/itm/accuracy"
    }
    assert scores.keys() == TRAINED[source]
    assert not [name for name, score in scores.items() if score["high"] >= score["chance"]]


@pytest.mark.parametrize("name", ["itm/pairs.test/accuracy", "retrieval/pairs.test/image_to_text/r1"])
def test_scores_of_pairs_are_above_chance(summary, name):
    assert summary[name]["low"] > summary[name]["chance"]
