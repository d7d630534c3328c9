"""What a balancer, and the comparison of gradients, cost by the plan."""

from io import StringIO

import pytest
from rich.console import Console

from vlobjectives.costs import table
from vlobjectives.costs.measure import measure
from vlobjectives.testing import Toy

OBJECTIVES = {"itc": {}, "mlm": {"mask": "noisy_words"}}


def costs(balance=None, conflict=None):
    toy = Toy(objectives=OBJECTIVES, balance=balance or {})
    if conflict:
        run = toy.recipe.run
        log = type(run.log).model_validate({"conflict": {"steps": conflict}})
        toy.__dict__["recipe"] = toy.recipe.model_copy(update={"run": run.model_copy(update={"log": log})})
    return measure(toy.resolved)


@pytest.fixture(scope="module")
def plain():
    return costs()


def told(found):
    console = Console(width=200, file=StringIO())
    console.print(table.renderable(found))
    return console.file.getvalue()


def test_uncertainty_costs_nothing(plain):
    found = costs({"uncertainty": {}})
    assert (found.flops, found.full.own_gradients) == (plain.flops, 0)
    assert found.parameters == plain.parameters | {"balance": 2}
    assert "Balanced by uncertainty." in told(found)


def test_gradients_of_each_objective_are_counted(plain):
    """As much as the backward pass down to the named part; all parts that both train where none is named."""
    on_text, all_shared = costs({"gradnorm": {"on": ["text"]}}), costs({"pcgrad": {}})
    for found in (on_text, all_shared):
        own = found.full.own_gradients
        assert found.full.backward == plain.full.backward + own
        assert found.flops == plain.flops + own / found.micro_batch * found.batch * found.steps
    assert 0 < on_text.full.own_gradients < all_shared.full.own_gradients < 2 * plain.full.backward
    assert "Balanced by gradnorm, on text; each objective's own gradient is" in told(on_text)
    assert "Balanced by pcgrad, on text, vision; each" in told(all_shared)
    assert all_shared.memory.parts.keys() == {*table.PARTS}, "each has words"


def test_a_comparison_counts_in_the_steps_in_which_it_is_due(plain):
    found = costs(conflict=2)
    full = found.full
    assert full.backward == plain.full.backward and full.own_gradients == 0 and full.comparison > 0
    more = full.comparison / found.micro_batch * found.batch * found.steps / 2
    assert found.flops == pytest.approx(plain.flops + more)
    assert "Gradients of the objectives are compared every 2 steps, part by part; such a step is" in told(found)
    assert table.data(found)["compared"] == 2
