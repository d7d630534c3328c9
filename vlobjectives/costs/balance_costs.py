"""What a balancer costs, and the comparison of objectives' gradients, in words."""

from collections.abc import Iterator

from vlobjectives.costs.plan_costs import Costs
from vlobjectives.costs.units import GIGA, _sample


def lines(costs: Costs) -> Iterator[str]:
    """A sentence for each of them that the recipe has."""
    full = costs.full
    if costs.balancer:
        on = f", on {', '.join(costs.balanced_on)}" if costs.balanced_on else ""
        yield (
            f"Balanced by {costs.balancer}{on}"
            + (_more(costs, full.own_gradients, "; each objective's own gradient is") if full.own_gradients else "")
            + "."
        )
    if costs.compared:
        yield (
            f"Gradients of the objectives are compared every {costs.compared:,} steps, part by part"
            + _more(costs, full.comparison, "; such a step is")
            + "."
        )


def _more(costs: Costs, flops: int, what: str) -> str:
    share = flops / (costs.full.forward + costs.full.backward - costs.full.own_gradients)
    return f"{what} {_sample(costs, flops) / GIGA:.3g} GFLOP a sample more, {share:.0%} of a step without"
