"""Every built-in balancer passes every check; planted faults are caught, with what and the hint."""

import random
import re

import pytest
import torch

from vlobjectives import Balancer, BalancerConfig
from vlobjectives.testing import CheckFailed, Toy, balancer_checks, checks_of, parametrize_with_checks

TOY = Toy(balance={"pcgrad": {}})


@parametrize_with_checks("uncertainty", {"form": "classification", "forms": {"mlm": "regression"}})
def test_uncertainty(check):
    check()


@parametrize_with_checks("gradnorm", {"alpha": 0.5})
def test_gradnorm(check):
    check()


@parametrize_with_checks("pcgrad", TOY)
def test_pcgrad(check):
    check()


class Faulty(Balancer):
    """What the faults are planted in: half of what fell last."""

    def __init__(self, config, objectives):
        super().__init__(config, objectives)
        self.register_buffer("last", torch.ones(len(objectives), dtype=torch.float64))

    def places(self, names):
        return [self.objectives.index(name) for name in names]

    def factors(self, names):
        return self.last[self.places(names)]

    def after_step(self, step):
        self.last[self.places(step.names)] = 0.5 + step.losses / 4


class TorchRandomness(Faulty):
    def factors(self, names):
        return super().factors(names) + torch.rand(len(names))


class PythonRandomness(Faulty):
    def after_step(self, step):
        self.last[self.places(step.names)] = random.random()


class WritesGradients(Faulty):
    needs_gradients = True

    def combine(self, step):
        for rows in step.gradients.values():
            rows.clamp_(min=0)
        return {part: rows.sum(0) for part, rows in step.gradients.items()}


class WritesLosses(Faulty):
    def after_step(self, step):
        self.last[self.places(step.names)] = step.losses.clamp_(max=1)


class Divides(Faulty):
    def factors(self, names):
        return 1 / self.last[self.places(names)]

    def after_step(self, step):
        self.last[self.places(step.names)] = step.losses


class PlainState(Faulty):
    def __init__(self, config, objectives):
        super().__init__(config, objectives)
        self.seen = 0

    def factors(self, names):
        return torch.ones(len(names)) / (1 + self.seen)

    def after_step(self, step):
        self.seen += 1


class ByPlace(Faulty):
    def factors(self, names):
        return self.last[: len(names)]

    def after_step(self, step):
        self.last[: len(step.names)] = 0.5 + step.losses / 4


class OneParameter(Faulty):
    def __init__(self, config, objectives):
        super().__init__(config, objectives)
        self.s = torch.nn.Parameter(torch.zeros(len(objectives)))

    def loss(self, step):
        return (self.s - self.s.new_ones(())).square().sum()


class AsksTheDevice(Faulty):
    def after_step(self, step):
        if step.losses.max() > 1:
            self.last.fill_(0.5)


class Ungiven(Faulty):
    def combine(self, step):
        return {part: rows.sum(0) for part, rows in step.gradients.items()}


class WrongNumber(Faulty):
    def factors(self, names):
        return self.last[:1].sum()


@pytest.mark.parametrize(
    ("fault", "check", "says"),
    [
        (TorchRandomness, "equal_everywhere", "the balancer .*random"),
        (PythonRandomness, "equal_everywhere", "the balancer .*random"),
        (WritesGradients, "read_only", "combine writes into .*gradients.vision"),
        (WritesLosses, "read_only", "after_step writes into .*losses"),
        (Divides, "finite", "factors is not finite where nothing was scored, at step 1"),
        (PlainState, "state_round_trip", "a run that goes on is another one: after 4 steps factors"),
        (ByPlace, "not_live", "'last' of near changes at a step at which near is not live"),
        (OneParameter, "not_live", "'s' of near (changes at a step|has a gradient)"),
        (AsksTheDevice, "static", "asks the device"),
        (Ungiven, "asks_for_what_it_needs", "it never says needs_gradients"),
        (WrongNumber, "read_only", r"factors gives torch.Size\(\[\]\) for 3 live objectives"),
    ],
)
def test_faults(fault, check, says):
    fault.Config = type("Config", (BalancerConfig,), {"__module__": __name__})
    one = next(one for one in checks_of(fault) if one.name == check)
    with pytest.raises(CheckFailed) as error:
        one()
    told = str(error.value)
    assert re.search(says, told), told
    assert "test_balancer_checks.py" in told and "hint:" in told


def test_what_the_faults_are_planted_in_passes():
    for check in checks_of(Faulty):
        check()


def test_a_fault_that_is_known_is_expected():
    (known,) = (c for c in balancer_checks({"state_round_trip": "keeps a count"}) if c.name == "state_round_trip")
    known.run("toy/plain", Toy(balance={"toy/plain": {}}, components={"balancer:plain": PlainState}))
