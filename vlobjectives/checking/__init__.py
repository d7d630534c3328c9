"""All checks of a recipe, before anything runs, one file a stage."""

from vlobjectives.checking.stages import check

__all__ = ["check"]
