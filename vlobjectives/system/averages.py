"""Averages of weights over the steps of a run: what views with `.ema()` run on, and modules that objectives average."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.views import View
from vlobjectives.errors import RecipeError
from vlobjectives.plugin_loading.attribution import ContractError
from vlobjectives.recipe.times import Decay, decay_at


class Averages(nn.Module):
    """Exponential averages of the trained weights of some modules.

        average <- decay average + (1 - decay) weight         after every optimiser step, decay = decay_at(step)

    They begin as the weights that training begins with (`start`). Each process has the same weights after a step, so
    the averages are the same too. They are buffers: saved with the weights, never trained. Frozen weights are their
    own average, and a weight that modules share has one. Buffers of modules have none.

    names  part, or `objective.module` of an objective's own -> own parameter -> dotted name of its average
    """

    def __init__(
        self,
        parts: Mapping[str, nn.Module] = MappingProxyType({}),
        owned: Mapping[str, nn.Module] = MappingProxyType({}),
        decay: Decay = 0.0,
        steps: int = 1,
    ):
        super().__init__()
        self.decay, self.steps = decay, steps
        self.weights, self.objectives = nn.Module(), nn.Module()
        self.names: dict[str, dict[str, str]] = {}
        self.sources: dict[str, str] = {}
        first: dict[int, str] = {}
        sections = [("weights", "model", parts), ("objectives", "objectives", owned)]
        for here, there, modules in sections:
            for module, one in modules.items():
                self.names[module] = {}
                for name, weight in one.named_parameters():
                    if weight.requires_grad:
                        own = f"{here}.{module}.{name}"
                        path = self.names[module][name] = first.setdefault(id(weight), own)
                        if path == own:
                            self.sources[path] = f"{there}.{module}.{name}"
                            self._place(path, weight.detach().clone())

    def _place(self, path: str, value: Tensor) -> None:
        """A buffer at a dotted name, which needs a module for each name before the last."""
        *holders, leaf = path.split(".")
        module: nn.Module = self
        for name in holders:
            if name not in module._modules:
                module.add_module(name, nn.Module())
            module = module.get_submodule(name)
        module.register_buffer(leaf, value)

    def values(self) -> dict[str, dict[str, Tensor]]:
        """Part, or `objective.module` -> own parameter -> its average."""
        return {
            module: {own: self.get_buffer(path) for own, path in names.items()} for module, names in self.names.items()
        }

    @torch.no_grad()
    def start(self, system: nn.Module) -> None:
        """Takes the weights as they are."""
        for average, weight in zip(*self._both(system)):
            average.copy_(weight)

    @torch.no_grad()
    def follow(self, system: nn.Module, step: int | None = None) -> None:
        """Moves all averages towards the weights of now; called after every optimiser step.

        Raises RecipeError where the decay is a schedule and the step is not given.
        """
        averages, weights = self._both(system)
        if averages:
            torch._foreach_lerp_(averages, weights, 1 - self.decay_at(step))

    def decay_at(self, step: int | None) -> float:
        """What stays of the averages at a step."""
        if step is None and not isinstance(self.decay, int | float):
            raise RecipeError.one(
                "the decay of averages changes over the run, and after_step() is not told the step",
                "hand over the step's losses: system.after_step(losses)",
                path="run.ema.decay",
            )
        return decay_at(self.decay, step or 0, self.steps)

    def _both(self, system: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        """The averages and, in the same order, what they are the averages of."""
        return (
            [self.get_buffer(path) for path in self.sources],
            [system.get_parameter(path) for path in self.sources.values()],
        )


@dataclass(frozen=True)
class AveragedModule:
    """A module to be called on averaged weights: in eval mode, without gradient.

    Its buffers are the module's own of now, copied: what the call writes into them is lost.
    """

    module: nn.Module
    weights: Mapping[str, Tensor]

    @torch.no_grad()
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        modes = [(one, one.training) for one in self.module.modules()]
        buffers = {name: buffer.clone() for name, buffer in self.module.named_buffers()}
        self.module.eval()
        try:
            return functional_call(self.module, buffers | dict(self.weights), args, kwargs)
        finally:
            for one, training in modes:
                one.training = training


def averaged_modules(objective: Objective) -> dict[str, str]:
    """Name in `averaged` -> the part that it is, '' for a module of the objective's own. Raises ContractError."""
    parts, own = objective.config.named("part"), dict(objective.named_modules())
    if unknown := sorted(name for name in objective.averaged if name not in parts and not (name and name in own)):
        there = [*parts, *(name for name in own if name)]
        near = get_close_matches(unknown[0], there, 1)
        raise ContractError(
            f"`averaged` of {type(objective).__name__} names '{unknown[0]}'"
            + (f": did you mean '{near[0]}'?" if near else ", which is none of its modules"),
            f"there is {', '.join(there)}" if there else "it has neither own modules nor PartName fields",
            objective.build if type(objective).build is not Objective.build else objective.forward,
        )
    return {name: parts.get(name, "") for name in sorted(objective.averaged)}


def averages_of(system: Any, decay: Decay) -> Averages:
    """Averages of the parts and of objectives' modules that run by averaged weights in a system, and of no others."""
    parts = wanted(system)
    owned = {
        f"{name}.{module}": objective.get_submodule(module)
        for name, objective in system.objectives.items()
        for module, part in averaged_modules(objective).items()
        if not part
    }
    averaged = {name: part for name, part in system.model.items() if name in parts}
    return Averages(averaged, owned, decay, system.settings.steps)


def callables(system: Any, name: str) -> dict[str, AveragedModule]:
    """The modules that an objective of a system calls on averaged weights, by their names in `averaged`."""
    objective, values = system.objectives[name], system.averages.values()
    return {
        key: AveragedModule(system.model[part], values[part])
        if part
        else AveragedModule(objective.get_submodule(key), values[f"{name}.{key}"])
        for key, part in averaged_modules(objective).items()
    }


def wanted(cast: Any) -> set[str]:
    """The parts that what trains (objectives, masks, pairings of a system or of a recipe that is checked) looks at by
    averaged weights, or calls on them."""
    looks = [one.views(cast.inputs) for one in (*cast.objectives.values(), *cast.pairings.values())]
    looks += [mask.views(cast.bare) for mask in cast.masks.values()]
    owned = {part for one in cast.objectives.values() for part in averaged_modules(one).values() if part}
    return owned.union(*(averaged_parts(view) for views in looks for view in views.values()))


def averaged_parts(view: View) -> set[str]:
    """The parts that a view runs through by averaged weights."""
    return ({view.part} if view.averaged else set()).union(*(averaged_parts(fed) for fed in view.fed))
