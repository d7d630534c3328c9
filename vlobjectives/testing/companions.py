"""An objective alone and in company of another: what must not change its terms."""

from collections.abc import Mapping
from typing import Any, cast

from vlobjectives.contracts.config import ObjectiveConfig
from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.values import Term
from vlobjectives.contracts.views import Input, View, fused
from vlobjectives.system.system import System
from vlobjectives.testing.check import summed, tensors
from vlobjectives.testing.toys import Toy


class Companion(Objective):
    """Looks at all that another objective looks at, and at more: who shares with it must not feel it.

    layered  parts that can show layers; of these it asks for one more
    """

    def __init__(self, other: Objective, layered: frozenset[str]):
        super().__init__(ObjectiveConfig())
        self.asked, self.layered = other.views, layered

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        views = dict(self.asked(inputs))
        more = {f"more {key}": view.layer(0) for key, view in views.items() if view.part in self.layered}
        return {**views, **more, "clean": fused(inputs["image"], inputs["text"])}

    def forward(self, *args: Any, **given: Any) -> Mapping[str, Term]:
        seen = [given[name] for name in given if name not in ("batch", "noise", "gather")]
        return {"all": Term(summed(x.square().mean() for _, x in tensors(seen) if x.requires_grad), 1)}


def alone(toy: Toy, name: str) -> Toy:
    """The toy with this one objective."""
    return toy.changed(objectives={name: toy.objectives[name]})


def accompanied(toy: Toy, name: str, train: bool) -> System:
    system = alone(toy, name).system(train)
    layered = frozenset(key for key, part in system.model.items() if "layers" in part.spec.can)
    modules, settings = cast(Any, system.objectives), cast(Any, system.settings)
    modules["companion"] = Companion(system.objectives[name], layered)
    settings.weights["companion"], settings.group["companion"] = 1.0, "all"
    return system
