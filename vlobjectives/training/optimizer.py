"""AdamW over groups of parameters that patterns choose."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from vlobjectives.training.schedule import rate_factor

BALANCE = "balance."
"""What the names of a balancer's parameters begin with."""


def assign(names: Sequence[str], patterns: Sequence[str]) -> tuple[dict[str, int], list[int]]:
    """Parameter -> number of the first pattern that matches it (-1: none), and the patterns that nothing reached.

    Patterns match dotted names as a shell matches files; one that matches only names that an earlier pattern took
    counts as reached: it may be there for another recipe's parts.
    """
    owner = {name: next((i for i, p in enumerate(patterns) if fnmatchcase(name, p)), -1) for name in names}
    idle = [i for i, p in enumerate(patterns) if not any(fnmatchcase(name, p) for name in names)]
    return owner, idle


class Optimizer:
    """torch's fused AdamW with a learning rate of its own for each group of the recipe.

    A parameter whose gradient is None (its objectives are not live) is left alone: no decay, no momentum. Those of a
    balancer are moved with the others, and are none of `parameters`, whose gradients are summed and clipped.
    """

    def __init__(self, module: nn.Module, optim: Any, steps: int):
        self.optim, self.steps = optim, steps
        named = {name: p for name, p in module.named_parameters() if p.requires_grad}
        owner, _ = assign(list(named), [group.match for group in optim.groups])
        groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
        for name, parameter in named.items():
            groups.setdefault((owner[name], name.startswith(BALANCE)), []).append(parameter)
        self.owners = [group for group, _ in sorted(groups)]
        self.torch = torch.optim.AdamW(
            [{"params": groups[key], "weight_decay": self._decay(*key)} for key in sorted(groups)],
            lr=optim.lr,
            betas=tuple(optim.betas),
            eps=optim.eps,
            fused=True,
        )
        self.named = named
        self.parameters = [p for name, p in named.items() if not name.startswith(BALANCE)]

    def _decay(self, group: int, of_balancer: bool) -> float:
        """A group's weight decay; a balancer's parameters have none but what their group says."""
        own = self.optim.groups[group].weight_decay if group >= 0 else None
        return (0.0 if of_balancer else self.optim.weight_decay) if own is None else own

    def set_rates(self, step: int) -> float:
        """Sets every group's rate for this step; gives the rate of a group with factor 1."""
        schedule = self.optim.schedule
        for i, group in zip(self.owners, self.torch.param_groups):
            factor, start = (self.optim.groups[i].lr, self.optim.groups[i].start) if i >= 0 else (1.0, None)
            group["lr"] = (
                self.optim.lr
                * factor
                * rate_factor(step, self.steps, schedule.warmup, schedule.then, schedule.floor, start)
            )
        return self.optim.lr * rate_factor(step, self.steps, schedule.warmup, schedule.then, schedule.floor)

    def zero(self) -> None:
        for parameter in self.named.values():
            parameter.grad = None

    def norm(self) -> torch.Tensor:
        """The norm of all gradients together, float32."""
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)).float())

    def clip(self, norm: torch.Tensor) -> None:
        """Scales all gradients down so that their norm is at most `clip`."""
        if self.optim.clip is None:
            return
        factor = (self.optim.clip / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_([p.grad for p in self.parameters if p.grad is not None], factor)

    def step(self) -> None:
        self.torch.step()

    def state(self) -> dict[str, dict[str, Any]]:
        """What AdamW keeps of each parameter that it has moved, by the parameter's name."""
        return {name: self.torch.state[p] for name, p in self.named.items() if p in self.torch.state}

    def load(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Takes back what `state` gave. Rates and decay stay the recipe's; names that are not here are left out."""
        for name, kept in state.items():
            if name in self.named:
                parameter = self.named[name]
                self.torch.state[parameter] = {
                    key: value.to(parameter.device, parameter.dtype) if value.dim() else value.to(parameter.device)
                    for key, value in kept.items()
                }
