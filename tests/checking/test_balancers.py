"""What is said of a recipe's balancer before anything runs."""

import pytest

from vlobjectives import Balancer, BalancerConfig
from vlobjectives.checking.capabilities import capabilities
from vlobjectives.recipe.report import Report
from vlobjectives.resolved.remainder import rest
from vlobjectives.testing import Toy

WEIGHED = {"itc": {}, "mlm": {"mask": "noisy_words"}}


class Refuses(Balancer):
    Config = BalancerConfig

    def __init__(self, config, objectives):
        raise self.cannot("it wants five objectives", "add some")


class Fails(Balancer):
    Config = BalancerConfig

    def __init__(self, config, objectives):
        super().__init__(config, objectives)
        self.first = objectives[7]


def found(name, options, objectives=WEIGHED):
    toy = Toy(
        objectives=objectives,
        balance={name: options},
        components={"balancer:refuses": Refuses, "balancer:fails": Fails},
    )
    report = Report()
    left, built = capabilities(toy.resolved, toy.data_module, report)
    return report, left, built


@pytest.mark.parametrize(
    ("name", "options", "objectives", "path", "what", "hint"),
    [
        ("uncertainty", {}, {"itc": {}}, "balance", "there is one: itc", "balance=null"),
        ("uncertainty", {"on": ["text"]}, WEIGHED, "balance.on", "looks at no gradient", "leave `on` out"),
        ("gradnorm", {"on": ["txet"]}, WEIGHED, "balance.on.0", "is called 'txet'", "did you mean 'text'?"),
        ("pcgrad", {"on": ["text", "model.text"]}, WEIGHED, "balance.on.1", "'model.text'", "without `model.`: 'text'"),
        ("pcgrad", {"on": ["text.nine.*"]}, WEIGHED, "balance.on.0", "'text.nine.*'", "below text there are "),
        ("toy/refuses", {}, WEIGHED, "balance", "it wants five objectives", "add some"),
        ("toy/fails", {}, WEIGHED, "balance", "test_balancers.py", "correct the plug-in"),
    ],
)
def test_refused(name, options, objectives, path, what, hint):
    report, left, _ = found(name, options, objectives)
    (one,) = report.errors
    assert one.path == path and what in one.what and hint in one.hint
    assert report.code == (4 if name == "toy/fails" else 2)
    assert left.recipe.balance is None and not left.of("balancer"), "the rest of the recipe is looked at without it"


@pytest.mark.parametrize(
    ("name", "options", "objectives", "what"),
    [
        ("gradnorm", {"on": ["joint"]}, WEIGHED, "objectives.mlm does not train joint"),
        (
            "uncertainty",
            {},
            {"itc": {"weight": [[0, 1], [2, 0]]}, "mlm": {"mask": "noisy_words", "weight": [[2, 0], [3, 1]]}},
            "no two objectives have a weight at the same step",
        ),
    ],
)
def test_noted(name, options, objectives, what):
    report, left, built = found(name, options, objectives)
    assert not report.errors and what in report.notes[0].what
    assert left.recipe.balance is not None and built.balancer is not None


@pytest.mark.parametrize(
    ("name", "options"), [("uncertainty", {}), ("gradnorm", {"on": ["text.*"]}), ("pcgrad", {})], ids=str
)
def test_nothing_is_said_of_a_sound_one(name, options):
    report, left, _ = found(name, options)
    assert not report.findings
    assert rest(left, []).recipe.balance == left.recipe.balance
