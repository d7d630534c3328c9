"""Inputs of pictures that read what is made of the caption."""

from collections.abc import Iterator

from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.contracts.views import View
from vlobjectives.errors import Problem
from vlobjectives.recipe.loading import Loaded


def _answers(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    """Inputs of pictures that read what is made of the caption."""
    views = [view for objective in built.objectives.values() for view in objective.views(built.inputs).values()]
    for name in dict.fromkeys(name for view in views for name in _pictures(view, built)):
        for number, field in enumerate(built.made.fields.inputs[name]):
            if built.made.fields.of_caption(field):
                yield loaded.problem(
                    ("inputs", name, "fields", number),
                    f"the input '{name}' shows the picture, and "
                    f"its field '{field}' is made of the caption: the model would be handed the "
                    "answer",
                    "leave the field out of it; an objective may read it as its target",
                )


def _pictures(view: View, built: MetaBuild) -> Iterator[str]:
    """Names of the inputs that a view, or what it is fed, takes as a picture."""
    for fed in view.fed:
        yield from _pictures(fed, built)
    yield from view.pictures(built)
