"""Averages of weights over the steps of a run: what views that ask for `.ema()` run on."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from vlobjectives.contracts.views import View


class Averages(nn.Module):
    """Exponential averages of the trained weights of some parts.

        average <- decay average + (1 - decay) weight         after every optimiser step

    They begin as the weights that training begins with (`start`). Each process has the same weights after a step, so
    the averages are the same too. They are buffers: saved with the weights, never trained. Frozen weights are their
    own average, and a weight that parts share has one.

    names  part -> own parameter -> dotted name of its average
    """

    def __init__(
        self, model: Mapping[str, nn.Module] = MappingProxyType({}), parts: Iterable[str] = (), decay: float = 0.0
    ):
        super().__init__()
        self.decay = decay
        self.weights = nn.Module()
        self.names: dict[str, dict[str, str]] = {}
        first: dict[int, str] = {}
        for part in parts:
            self.names[part] = {}
            for name, weight in model[part].named_parameters():
                if weight.requires_grad:
                    path = self.names[part][name] = first.setdefault(id(weight), f"{part}.{name}")
                    if path == f"{part}.{name}":
                        self._place(path, weight.detach().clone())

    def _place(self, path: str, value: Tensor) -> None:
        """A buffer at a dotted name, which needs a module for each name before the last."""
        *holders, leaf = path.split(".")
        module = self.weights
        for name in holders:
            if name not in module._modules:
                module.add_module(name, nn.Module())
            module = module.get_submodule(name)
        module.register_buffer(leaf, value)

    def values(self) -> dict[str, dict[str, Tensor]]:
        """part -> own parameter -> its average."""
        return {
            part: {own: self.weights.get_buffer(path) for own, path in names.items()}
            for part, names in self.names.items()
        }

    @torch.no_grad()
    def start(self, model: nn.Module) -> None:
        """Takes the weights as they are."""
        for average, weight in zip(*self._both(model)):
            average.copy_(weight)

    @torch.no_grad()
    def follow(self, model: nn.Module) -> None:
        """Moves all averages towards the weights of now; called after every optimiser step."""
        averages, weights = self._both(model)
        if averages:
            torch._foreach_lerp_(averages, weights, 1 - self.decay)

    def _both(self, model: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
        """The averages and, in the same order, what they are the averages of."""
        paths = dict.fromkeys(path for names in self.names.values() for path in names.values())
        return [self.weights.get_buffer(path) for path in paths], [model.get_parameter(path) for path in paths]


def wanted(cast: Any) -> set[str]:
    """The parts that what trains (objectives, masks, pairings of a system or of a recipe that is checked) looks at by
    averaged weights."""
    looks = [one.views(cast.inputs) for one in (*cast.objectives.values(), *cast.pairings.values())]
    looks += [mask.views(cast.bare) for mask in cast.masks.values()]
    return set().union(*(averaged_parts(view) for views in looks for view in views.values()))


def averaged_parts(view: View) -> set[str]:
    """The parts that a view runs through by averaged weights."""
    return ({view.part} if view.averaged else set()).union(*(averaged_parts(fed) for fed in view.fed))
