"""What the published figures rest on: intervals, turns, and a yardstick that computes what the library does."""

import math
import sys
from pathlib import Path

import pytest

import vlobjectives

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import by_hand
import overhead
import paired

TINY = (
    "run.steps=2",
    "run.precision=fp32",
    "optim.schedule.warmup=0",
    "data.samples=64",
    "data.batch=8",
    "model.vision.width=32",
    "model.vision.depth=1",
    "model.vision.heads=2",
    "model.joint.width=24",
    "model.text.config.hidden_size=32",
    "model.text.config.num_hidden_layers=1",
    "model.text.config.num_attention_heads=2",
    "model.text.config.intermediate_size=64",
    "model.fusion.width=32",
    "model.fusion.depth=1",
    "model.fusion.heads=2",
    "objectives.itm.weight=1",
    "objectives.mlm.weight=2",
    "objectives.mgsc.weight=0.2",
    "objectives.mltc.weight=0.5",
)


@pytest.mark.parametrize(("n", "low"), [(6, 1), (8, 1), (9, 2), (11, 2), (15, 4), (21, 6), (50, 18)])
def test_interval_of_a_median_is_the_tabled_one(n, low):
    """Ranks from the binomial table (Conover, Practical Nonparametric Statistics, 3.2)."""
    middle, *ends = paired.median(range(n, 0, -1))
    assert middle == (n + 1) / 2
    assert ends == [low, n + 1 - low]


def test_no_interval_of_few_values():
    assert paired.median([1, 2, 3, 4, 5]) == (3, 0.0, math.inf)


def test_ratios_are_of_the_same_round():
    assert paired.ratio([2, 20, 200, 2, 2, 2], [1, 10, 100, 1, 1, 1]) == (2, 2, 2)


def test_contestants_take_turns():
    order = []
    taken = paired.turns({name: lambda name=name: order.append(name) for name in "ab"}, rounds=2, warmup=1)
    assert "".join(order) == "baabba"
    assert [len(seconds) for seconds in taken.values()] == [2, 2]


@pytest.fixture(scope="module")
def system():
    return vlobjectives.build("glscl", *TINY).train()


def test_the_step_by_hand_is_the_librarys(system):
    hand = by_hand.ByHand(system, 1)
    (loaded,) = overhead.in_memory(system, 1)
    found = overhead.agree(system, hand, loaded)
    assert len(found) == 7
    loss, norm = hand.step(loaded)
    assert math.isfinite(loss)
    assert norm > 0


def test_a_difference_is_seen(system, monkeypatch):
    hand = by_hand.ByHand(system, 1)
    monkeypatch.setitem(hand.weights, "mltc", 0.4)
    with pytest.raises(SystemExit, match="gradients apart"):
        overhead.agree(system, hand, *overhead.in_memory(system, 1))
