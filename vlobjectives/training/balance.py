"""What a step does beside its passes: a balancer's factors, and the gradients of single objectives.

A run without a balancer does nothing here but at the steps at which `run.log.conflict` is due.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vlobjectives.contracts.balancer import Balancer, StepLosses
from vlobjectives.contracts.noise import Noise
from vlobjectives.errors import PluginError
from vlobjectives.plugin_loading.attribution import ContractError, an, work_of
from vlobjectives.system.losses import Losses
from vlobjectives.system.reached_parts import Chosen, chosen, reached_of
from vlobjectives.system.system import System
from vlobjectives.training.objective_gradients import ObjectiveGradients, conflict, keep_compiled_graphs, put

PATH = ("balance",)


class Balance:
    """A system's balancer, if it has one, and the comparison of its objectives' gradients.

    compared  numbers of finished steps at which gradients are compared
    """

    def __init__(self, system: System, device: torch.device, compared: Collection[int] = ()):
        self.system, self.device, self.compared = system, device, compared
        parts = {name: part.get_submodule("") for name, part in system.model.items()}
        self.whole = chosen(parts, ["*"]) if compared else {}
        asks = system.balance is not None and system.balance.needs_gradients
        self.on = chosen(parts, system.settings.balanced_on) if asks else {}
        if self.on or self.whole:
            keep_compiled_graphs()

    def begin(self, step: int, names: Sequence[str]) -> "StepBalance":
        """A step that begins, with these objectives live."""
        balancer = self.system.balance
        wanted: dict[str, Chosen] = {"on": self.on} if self.on else {}
        if step + 1 in self.compared:
            wanted["conflict"] = self.whole
        found = StepBalance(
            self.system,
            step,
            tuple(names),
            {what: ObjectiveGradients(parts, names) for what, parts in wanted.items()},
        )
        if balancer is not None:
            with torch.no_grad(), work_of(PATH, "its factors", balancer):
                given = balancer.factors(found.names)
                _refuse_factors(balancer, given, len(names))
            found.given = given.detach().to(self.device, torch.float64, copy=True)
            found.factors = dict(zip(names, found.given))
        return found


@dataclass
class StepBalance:
    """One step of it. `factors` are those of the live objectives, empty without a balancer; `scalars` are told by
    `close` and read once they were fetched from the device."""

    system: System
    step: int
    names: tuple[str, ...]
    gradients: Mapping[str, ObjectiveGradients]
    given: Tensor = field(default_factory=lambda: torch.empty(0))
    factors: Mapping[str, Tensor] = field(default_factory=dict)
    scalars: dict[tuple[str, str], Tensor] = field(default_factory=dict)
    _weights: dict[str, float] = field(default_factory=dict)
    _of_terms: dict[str, float] = field(default_factory=dict)
    _seen: StepLosses | None = None

    def add(self, losses: Losses, scaler: torch.amp.GradScaler | None) -> Losses:
        """A micro-batch between its forward and its backward pass; gives the losses with the factors."""
        losses.factors = self.factors
        if self.factors or self.gradients:
            self._weights.update(losses.weights)
            self._of_terms.update({name: term.weight for name, term in losses.terms.items()})
        for one in self.gradients.values():
            one.add(losses, _scale(losses, scaler))
        return losses

    def close(self, values: Mapping[str, Tensor], scaler: torch.amp.GradScaler | None) -> list[Tensor]:
        """The step after its backward passes, before gradients are clipped: exchanges them, tells numbers to fetch.

        values  term -> its value over all micro-batches and processes
        """
        with torch.no_grad():
            summed = {what: one.summed() for what, one in self.gradients.items()}
            if "conflict" in summed:
                reached = reached_of(self.system, self.names, self.gradients["conflict"].chosen)
                self._tell("conflict", conflict(self.names, summed["conflict"], reached))
            if self.factors and self.system.balance is not None:
                self._tell("factor", self.factors)
                self._balance(self.system.balance, values, summed.get("on", {}), scaler)
        return list(self.scalars.values())

    def _balance(
        self,
        balancer: Balancer,
        values: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        scaler: torch.amp.GradScaler | None,
    ) -> None:
        self._seen = seen = self._losses(values, gradients)
        with work_of(PATH, "combining gradients", balancer):
            combined = balancer.combine(seen)
            _refuse_combined(balancer, combined, gradients)
        if combined:
            put(self.gradients["on"].chosen, combined, _scale(None, scaler, self.given.device))
        with work_of(PATH, "its metrics", balancer):
            self._tell("balance", balancer.metrics(seen))

    def _losses(self, values: Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> StepLosses:
        device = self.given.device
        of = {
            name: [self._of_terms[term] * value for term, value in values.items() if term.split("/")[0] == name]
            for name in self.names
        }
        weights = torch.tensor([self._weights[name] for name in self.names], dtype=torch.float64, device=device)
        places = list(self.system.objectives)
        number = torch.tensor([places.index(name) for name in self.names], device=device)
        noise = Noise(self.system.settings.seed, "balance", self.step, number)
        losses = torch.stack([torch.stack(one).sum() for one in of.values()])
        return StepLosses(self.names, losses, weights, self.given, noise, gradients)

    def _tell(self, what: str, numbers: Mapping[str, Tensor]) -> None:
        self.scalars |= {
            (what, name): number.detach().double().to(self.given.device) for name, number in numbers.items()
        }

    def told(self, numbers: Sequence[float]) -> "Told":
        """What `close` told, fetched. Raises PluginError where a factor is not finite, the same on every process."""
        found = Told(dict(zip(self.scalars, numbers)))
        for name in self.factors:
            if not math.isfinite(value := found.numbers["factor", name]):
                raise PluginError(
                    f"balance: at step {self.step} the factor of '{name}' is {value}",
                    "correct the balancer, or take another; `vlobj run` with the folder goes on from its checkpoint",
                )
        return found

    def learn(self) -> None:
        """Gives the balancer's parameters their gradient, before the optimiser moves."""
        balancer = self.system.balance
        if balancer is None or self._seen is None:
            return
        with work_of(PATH, "its loss", balancer):
            loss = balancer.loss(self._seen)
            if loss is not None:
                torch.autograd.backward(loss, inputs=[p for p in balancer.parameters() if p.requires_grad])

    @torch.no_grad()
    def end(self) -> None:
        """Lets the balancer write its buffers, after the optimiser has moved."""
        balancer = self.system.balance
        if balancer is not None and self._seen is not None:
            with work_of(PATH, "its after_step", balancer):
                balancer.after_step(self._seen)


@dataclass(frozen=True)
class Told:
    """Numbers of a step: (`factor`, `balance` or `conflict`, name) -> value."""

    numbers: Mapping[tuple[str, str], float]

    def factor(self, term: str) -> float:
        """What the weight of a term's objective was multiplied by."""
        return self.numbers.get(("factor", term.split("/")[0]), 1.0)

    @property
    def metrics(self) -> dict[str, dict[str, float | None]]:
        """What is logged beside the terms: the balancer's numbers, and the comparison; None for what is not finite."""
        found: dict[str, dict[str, float | None]] = {}
        for (what, name), value in self.numbers.items():
            if what != "factor":
                found.setdefault(what, {})[name] = value if math.isfinite(value) else None
        return found


def _scale(
    losses: Losses | None, scaler: torch.amp.GradScaler | None, device: torch.device | None = None
) -> Tensor | float:
    """What fp16 multiplies losses by, on the device; 1 without it."""
    if scaler is None:
        return 1.0
    device = next(iter(losses.terms.values())).total.device if losses is not None else device
    scale: Tensor = scaler.scale(torch.ones((), device=device))
    return scale


def _refuse_factors(balancer: nn.Module, given: object, count: int) -> None:
    if not isinstance(given, Tensor) or given.shape != (count,) or not given.is_floating_point():
        shown = f"{given.dtype} of shape {list(given.shape)}" if isinstance(given, Tensor) else an(given)
        raise ContractError(
            f"factors returned {shown}",
            f"factors must return a tensor [n] of floats, one for each of the {count} live objectives",
            balancer.factors,
        )


def _refuse_combined(balancer: nn.Module, combined: object, gradients: Mapping[str, Tensor]) -> None:
    must = "combine must return {part: [P]} of parts that the step has gradients of"
    if not isinstance(combined, Mapping):
        raise ContractError(f"combine returned {an(combined)}", must, balancer.combine)
    for part, flat in combined.items():
        if part not in gradients:
            raise ContractError(f"combine returned a gradient of '{part}'", must, balancer.combine)
        if not isinstance(flat, Tensor) or flat.shape != gradients[part].shape[1:]:
            shown = f"shape {list(flat.shape)}" if isinstance(flat, Tensor) else an(flat)
            raise ContractError(f"combine returned under '{part}' {shown}", must, balancer.combine)
