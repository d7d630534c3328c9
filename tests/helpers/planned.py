"""Recipes and plug-ins for the tests of plans."""

from functools import cache

from vlobjectives.costs.measure import measure
from vlobjectives.recipe import load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import Resolved, resolve
from vlobjectives.runtime.distributed import World

THIN = (
    "model.vision.depth=1",
    "model.fusion.depth=1",
    "model.text.config.num_hidden_layers=1",
    "run.device=cpu",
    "run.precision=fp32",
)
"""Overrides of the main recipe: one block of each stack, so that a counted step takes a third of the time."""


@cache
def registry() -> Registry:
    return Registry()


def recipe(name: str, *overrides: str, processes: int = 1) -> Resolved:
    return resolve(load(name, overrides), registry(), World(size=processes))


@cache
def costs(name: str, *overrides: str):
    """What a recipe costs; counted once."""
    return measure(recipe(name, *overrides))
