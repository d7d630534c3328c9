"""What the main recipe must reach on pictures that it never saw, one test a bar.

VLOBJ_MAIN_RUN names the folder of a finished run of recipes/glscl.yaml; without it the recipe is trained here.
"""

import os

import pytest

pytestmark = pytest.mark.slow

RATES = {
    "retrieval/{}/image_to_text/r1": 0.60,
    "retrieval/{}/text_to_image/r1": 0.60,
    "itm/{}/accuracy": 0.95,
    "words/{}/all": 0.60,
    "words/{}/colours": 0.85,
}
LOSSES = ["itc/contrast", "itm/match", "mlm/words", "mgsc/image", "mgsc/text", "mltc/image", "mltc/text"]
COMPLETED = ["global_image", "global_text", "local_image", "local_text"]


@pytest.fixture(scope="module")
def summary(trained):
    return trained("glscl", os.environ.get("VLOBJ_MAIN_RUN"))


@pytest.mark.parametrize(("name", "bar"), RATES.items())
def test_rate(summary, name, bar):
    assert summary[name.format("test")]["value"] >= bar


@pytest.mark.parametrize("name", LOSSES)
def test_held_out_loss_is_below_chance(summary, name):
    score = summary[f"losses/test/{name}"]
    assert score["high"] < score["chance"]


@pytest.mark.parametrize("name", COMPLETED)
def test_completion_tells_twins_apart_by_colour(summary, name):
    assert summary[f"completion/test/colour/{name}"]["low"] > 0.5


def test_every_loss_of_the_recipe_has_a_bar(summary):
    """An objective that is added to the recipe needs one too."""
    losses = {name.removeprefix("losses/test/") for name in summary if name.startswith("losses/test/")}
    assert losses == {*LOSSES, "itm/accuracy"}


def test_new_combinations_are_scored(summary, capsys):
    """Prints what is held to bars beside its value on shapes in colours that training never showed."""
    names = [
        *RATES,
        *(f"losses/{{}}/{name}" for name in LOSSES),
        *(f"completion/{{}}/colour/{name}" for name in COMPLETED),
    ]
    lines = []
    for name in names:
        seen, new = (summary[name.format(split)] for split in ("test", "test_new"))
        lines.append(
            f"{name.replace('{}/', ''):32} {seen['value']:6.3f}    new combinations {new['value']:6.3f} "
            f"[{new['low']:.3f}, {new['high']:.3f}]  chance {new['chance']:.3f}"
        )
    with capsys.disabled():
        print("", *lines, sep="\n")
