"""Passes through each part and forward FLOPs of a step: planned, as published, and unshared.

    python benchmarks/passes.py [--recipes glscl,glscl_base] [--json FILE]

Counted on tensors without numbers, so the result is exact and hangs on no machine; half a minute on two cores.
Work and activations are those of a micro-batch.
"""

import paired

from vlobjectives.costs.measure import measure
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve


def table(recipe: str) -> list[dict[str, str]]:
    """A row for each schedule of a recipe."""
    costs = measure(resolve(load(recipe), Registry()))
    planned = costs.schedules["planned"]
    return [
        {
            "recipe": recipe,
            "schedule": name,
            **{f"{part} passes": str(schedule.passes.get(part, 0)) for part in planned.passes},
            "all passes": str(sum(schedule.passes.values())),
            "forward GFLOPs": f"{schedule.forward / 1e9:,.1f}",
            "of unshared": f"{schedule.forward / costs.schedules['unshared'].forward:.2f}",
            "activations GB": f"{schedule.activations / 1e9:.2f}",
        }
        for name, schedule in costs.schedules.items()
    ]


if __name__ == "__main__":
    asked = paired.options(__doc__, recipes=("glscl,glscl_base", "recipes, by name or file"))
    paired.show(
        "Passes and work of a step with all objectives live",
        [row for recipe in asked.recipes.split(",") for row in table(recipe)],
        asked.json,
    )
