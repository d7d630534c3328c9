"""Every check of evaluations finds the evaluation that fails it, and says what and where."""

import random
from typing import Annotated

import pytest
import torch

from vlobjectives import Evaluation, EvaluationConfig, ObjectiveName, Score, accuracy, joint
from vlobjectives.functional import all_gather_with_grad
from vlobjectives.testing import CheckFailed, Toy, checks_of

ROWS = 16


class Nearest(Evaluation):
    """The share of pictures whose caption is the nearest of its batch. What fails a check overrides one thing."""

    def views(self, inputs):
        return {"image": joint(inputs["image"]), "text": joint(inputs["text"])}

    def hits(self, held):
        for batch in held.batches():
            values = held.values(self.asked(held), batch)
            scores = values["image"].pooled @ values["text"].pooled.T
            yield scores.argmax(1) == torch.arange(batch.size), scores

    def asked(self, held):
        return self.views(held.inputs)

    def chance(self, rows):
        return 1 / rows

    def run(self, held):
        found = [hits for hits, _ in self.hits(held)]
        chance = sum(self.chance(len(hits)) * len(hits) for hits in found) / sum(map(len, found))
        return {"r1": self.score(torch.cat(found), chance)}

    def score(self, hits, chance):
        return accuracy(hits, chance)


class LowChance(Nearest):
    """Decides between two and says that it decides among all."""

    def hits(self, held):
        for hits, scores in super().hits(held):
            yield scores.diagonal() > scores.roll(1, 1).diagonal(), hits


class Decides(LowChance):
    """The same with its own chance level."""

    def chance(self, rows):
        return 0.5


class NoInterval(Decides):
    def score(self, hits, chance):
        value = hits.double().mean().item()
        return Score(value, chance, value, value, len(hits))


class CountsPairs(Decides):
    """Takes every comparison for a case."""

    def score(self, hits, chance):
        return accuracy(hits.repeat_interleave(60), chance)


class PerCent(Nearest):
    def score(self, hits, chance):
        found = accuracy(hits, chance)
        return Score(250 * found.value + 1, chance, 0.0, 1000.0, found.n)


class OutsideInterval(Nearest):
    def score(self, hits, chance):
        return Score(0.5, chance, 0.6, 0.7, 10)


class NotANumber(Nearest):
    def score(self, hits, chance):
        return Score(float("nan"), chance, 0.0, 1.0, 10)


class PlainNumbers(Nearest):
    def score(self, hits, chance):
        return hits.double().mean().item()


class Nothing(Nearest):
    def run(self, held):
        return {}


class HighChance(Nearest):
    def chance(self, rows):
        return 0.5


class Peeks(Nearest):
    """The answer stands in what is compared."""

    def hits(self, held):
        for hits, scores in super().hits(held):
            yield (scores + 9 * torch.eye(len(scores))).argmax(1) == torch.arange(len(hits)), scores


class Draws(Nearest):
    def score(self, hits, chance):
        return accuracy(hits[torch.randperm(len(hits))[:40]], chance)


class Remembers(Nearest):
    calls = 0

    def score(self, hits, chance):
        self.calls += 1
        return accuracy(hits[self.calls :], chance)


class Seeds(Nearest):
    def run(self, held):
        random.seed(0)
        return super().run(held)


class Trains(Nearest):
    def run(self, held):
        with torch.enable_grad():
            for parameter in held.system.parameters():
                parameter.data.add_(0.1)
        return super().run(held)


class TrainMode(Nearest):
    def run(self, held):
        found = super().run(held)
        held.part("vision").part.train()
        return found


class Gradients(Nearest):
    def run(self, held):
        with torch.enable_grad():
            held.part("joint").part.temperature.sum().backward()
        return super().run(held)


class Freezes(Nearest):
    def run(self, held):
        held.part("joint").part.requires_grad_(False)
        return super().run(held)


class Twins(Nearest):
    def run(self, held):
        held.source.twins(held.split, "colour", 2)
        return super().run(held)


class Hidden(Nearest):
    def views(self, inputs):
        return {}

    def asked(self, held):
        return super().views(held.inputs)


class Private(Nearest):
    class Config(EvaluationConfig):
        of: Annotated[ObjectiveName, "no role"] = "itc"

    def run(self, held):
        assert held.objective(self.config.of).config
        return super().run(held)


class Gathers(Nearest):
    def hits(self, held):
        for hits, scores in super().hits(held):
            yield all_gather_with_grad(hits.float()) > 0, scores


class Reduces(Nearest):
    def run(self, held):
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        return super().run(held)


FAULTS = [
    ("scores_are_sound", PerCent, "and a share is at most 1"),
    ("scores_are_sound", OutsideInterval, "'r1' is 0.5, and lies outside of its interval, 0.6 to 0.7"),
    ("scores_are_sound", NotANumber, "'r1' holds a number that is not finite"),
    ("scores_are_sound", PlainNumbers, "`run` gives 'r1': a float"),
    ("scores_are_sound", Nothing, "it gives no score on this data"),
    ("two_calls_equal", Draws, "called a second time it gives something else: r1.value is"),
    ("two_calls_equal", Remembers, "called a second time it gives something else: r1."),
    ("two_calls_equal", Seeds, "`run` moves Python's random state, which is the run's"),
    ("leaves_the_system", Trains, "it changes the model: weights.*differs in"),
    ("leaves_the_system", TrainMode, "it leaves model.vision in training mode"),
    ("leaves_the_system", Gradients, "it leaves a gradient on model.joint.temperature"),
    ("leaves_the_system", Freezes, "it freezes model.joint"),
    ("needs_declared", Twins, "it asks the source for `twins`, and its `needs` does not name it"),
    ("views_declared", Hidden, "`run` asks for a view through 'joint', and `views` tells of none"),
    ("role_alone", Private, "it reads `config` of the objective 'itc', which no role promises"),
    ("first_process_alone", Gathers, r"it calls torch.distributed.\w+, and the first process alone evaluates"),
    ("first_process_alone", Reduces, "it calls torch.distributed.barrier, and the first process alone evaluates"),
    (
        "shuffled_is_no_better",
        LowChance,
        r"with shuffled pairs, which tell nothing, 'r1' is 0.\d+, and",
    ),
    ("shuffled_is_no_better", Peeks, "with shuffled pairs, which tell nothing, 'r1' is 1.000"),
    (
        "chance_is_reached",
        HighChance,
        r"untrained systems score 0.\d+ in 'r1' on shuffled pairs",
    ),
    ("interval_covers", NoInterval, "of 12 intervals of 'r1' . hold what all parts of the data give"),
    ("interval_covers", CountsPairs, "of 12 intervals of 'r1' . hold what all parts of the data give"),
]


def checks(cls):
    return checks_of(cls, Toy(rows=ROWS, data={"samples": 96}))


@pytest.mark.parametrize(("name", "cls", "says"), FAULTS)
def test_faults(name, cls, says):
    check = next(check for check in checks(cls) if check.name == name)
    with pytest.raises(CheckFailed, match=rf"(?s)fails the check '{name}'.*{says}") as failure:
        check()
    assert "test_evaluation_checks.py:" in str(failure.value) and "    hint:  " in str(failure.value)


@pytest.mark.parametrize("cls", [Nearest, Decides])
def test_sound_evaluations_pass(cls):
    for check in checks(cls):
        check()
