"""All checks of a recipe, before anything runs: those of `recipe.checks*`, and those here, which build things."""

from vlobjectives.running.checking.all import check

__all__ = ["check"]
