"""Runs over several processes, compared with the same run on one."""

import pytest
import torch
from trial_runs import lines, weights

STILL = (
    "model.text.config.hidden_dropout_prob=0",
    "model.text.config.attention_probs_dropout_prob=0",
    "model.fusion.dropout=0",
    "objectives.mlm.weight=[[5, 1], [6, 0]]",
    "optim.eps=1e-2",
    "run.steps=8",
)
"""No dropout; matching comes at step 5, masked words go at step 6. AdamW's epsilon is large, since it else divides what
rounding leaves of a gradient near 0 by itself."""


def compare(out, whole):
    """Every value, weight, chance and norm to 1e-5 of its size; a loss that gathers counts its rows on each process."""
    for one, other in zip(lines(out), lines(whole), strict=True):
        assert one["terms"].keys() == other["terms"].keys()
        for name, term in one["terms"].items():
            for key in ("value", "weight", "weighted", "chance"):
                assert term[key] == pytest.approx(other["terms"][name][key], rel=1e-5, abs=1e-7), (one["step"], name)
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-5)
    theirs = weights(whole)
    for name, value in weights(out).items():
        assert torch.allclose(value, theirs[name], rtol=1e-5, atol=1e-6), name
