"""YAML with places -> Recipe: layers, overrides, validation, shipped recipes."""

from vlobjectives.recipe.dump import dump
from vlobjectives.recipe.loading import Loaded, load
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.recipes import locate

__all__ = ["Loaded", "Recipe", "dump", "load", "locate"]
