"""Learning rates over a run: warm-up, decay, and groups that start late."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from vlobjectives.recipe.model import Optim, OptimGroup
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.schedule import rate_factor

THEN = st.sampled_from(["constant", "linear", "cosine"])


def test_a_balancers_parameters_decay_only_where_their_group_says_so():
    """And are outside of the clipped norm; a pattern that matches others too is two groups of torch's."""
    module = nn.ModuleDict({"model": nn.Linear(2, 2), "balance": nn.Linear(2, 1)})

    def decays(**group):
        optim = Optim(lr=1e-3, groups=(OptimGroup(match="*", **group),) if group else ())
        made = Optimizer(module, optim, 10)
        assert [id(p) for p in made.parameters] == [id(p) for p in module["model"].parameters()]
        made.set_rates(0)
        of = {id(p): one for one in made.torch.param_groups for p in one["params"]}
        return [(of[id(module[name].weight)]["weight_decay"], of[id(module[name].weight)]["lr"]) for name in module]

    assert decays() == [(0.01, 1e-3), (0.0, 1e-3)]
    assert decays(lr=10.0) == [(0.01, 1e-2), (0.0, 1e-2)]
    assert decays(weight_decay=0.1) == [(0.1, 1e-3), (0.1, 1e-3)]


@given(warmup=st.integers(0, 30), start=st.integers(0, 60), then=THEN, floor=st.floats(0, 1))
def test_a_late_group_stands_still_until_it_starts_whatever_the_warm_up(warmup, start, then, floor):
    late = [rate_factor(step, 60, warmup, then, floor, start) for step in range(60)]
    common = [rate_factor(step, 60, warmup, then, floor) for step in range(60)]
    assert not any(late[:start])
    assert late[start + warmup :] == common[start + warmup :]
    assert all(0 <= own <= 1 for own in late)
    if floor > 0:
        assert all(late[start:])


@pytest.mark.parametrize("start", [3, 0.5])
@pytest.mark.parametrize("warmup", [0, 2, 0.01])
def test_nothing_of_a_group_moves_before_its_start(start, warmup):
    module = nn.ModuleDict({"early": nn.Linear(2, 2), "late": nn.Linear(2, 2)})
    late = SimpleNamespace(match="late.*", lr=2.0, start=start, weight_decay=None)
    optim = SimpleNamespace(
        lr=0.1,
        betas=(0.9, 0.98),
        eps=1e-8,
        weight_decay=0.1,
        clip=None,
        groups=[late],
        schedule=SimpleNamespace(warmup=warmup, then="constant", floor=0.0),
    )
    optimiser = Optimizer(module, optim, 6)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    for step in range(6):
        optimiser.set_rates(step)
        optimiser.zero()
        sum((p**2).sum() + p.sum() for p in module.parameters()).backward()
        optimiser.step()
        moved = {name.split(".")[0] for name, p in module.named_parameters() if not torch.equal(p, before[name])}
        assert moved == ({"early"} if step < 3 else {"early", "late"})
