"""The system that a recipe describes, as an nn.Module: parts, objectives, and the plan that joins them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from vlobjectives.contracts.balancer import Balancer
from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.mask import Mask, MaskTarget
from vlobjectives.contracts.noise import Noise
from vlobjectives.contracts.objective import RETURNS, Objective, no_terms
from vlobjectives.contracts.pairing import Pairing
from vlobjectives.contracts.parts import Part
from vlobjectives.contracts.values import Term, widened
from vlobjectives.contracts.views import Input
from vlobjectives.errors import RecipeError
from vlobjectives.functional.all_gather import all_gather_with_grad
from vlobjectives.planning import execute, static_values
from vlobjectives.planning.plan import Plan, bare, make
from vlobjectives.plugin_loading.attribution import ContractError, given, work_among, work_of
from vlobjectives.plugin_loading.instantiate import asked_for, met
from vlobjectives.recipe.times import Decay, weight_at
from vlobjectives.runtime import distributed
from vlobjectives.system import stacking
from vlobjectives.system.averages import Averages, averages_of, callables
from vlobjectives.system.groups import pieces
from vlobjectives.system.losses import Losses, _tensor, combined, joined_losses, summed
from vlobjectives.system.settings import Settings
from vlobjectives.system.step_statistics import Joined, Statistic, detached, hand_over


class System(nn.Module):
    """Parts and objectives with the plan between them.

    `system(batch, step)` gives Losses whose `total` is ready for `backward()`. On several processes every process
    calls it with its own rows, and gradients are summed afterwards (`runtime.distributed`).
    """

    def __init__(
        self,
        model: Mapping[str, Part],
        objectives: Mapping[str, Objective],
        masks: Mapping[str, Mask],
        pairings: Mapping[str, Pairing],
        inputs: Mapping[str, Input],
        sites: Mapping[str, Mapping[str, MaskTarget]],
        slots: Mapping[tuple[str, str], str],
        settings: Settings,
        balance: Balancer | None = None,
    ):
        super().__init__()
        # torch's ModuleDict has the methods of a mapping but `get`, and no types
        self.model = cast(Mapping[str, Part], nn.ModuleDict(model))
        self.objectives = cast(Mapping[str, Objective], nn.ModuleDict(objectives))
        self.masks, self.pairings, self.inputs, self.sites = dict(masks), dict(pairings), dict(inputs), dict(sites)
        self.slots, self.settings = dict(slots), settings
        self.balance = balance
        self.averages = Averages()
        self.bare = bare(inputs)
        self.autocast: tuple[str, torch.dtype] | None = None
        self.gathers: Callable[[Tensor], Tensor] | None = None  # what stands in for `gather` where a plan is made
        self._plans: dict[tuple[tuple[str, ...], ...], Plan] = {}

    def weights(self, source: str = "") -> dict[str, Any]:
        """Objectives that are computed on batches of a source, with their weights over time."""
        of = self.settings.sources
        return {name: self.settings.weights[name] for name in self.objectives if source in of.get(name, (source,))}

    def live(self, step: int, source: str = "") -> tuple[str, ...]:
        """Objectives with a weight at this step, on a batch of this source."""
        return tuple(
            name for name, weight in self.weights(source).items() if weight_at(weight, step, self.settings.steps)
        )

    def plan(self, names: Sequence[str], share: str | Sequence[Sequence[str]] | None = None) -> Plan:
        """The plan for these objectives; `share`: all, none, or groups that share."""
        share = share or self.settings.share
        groups = (
            (tuple(names),)
            if share == "all"
            else tuple((n,) for n in names)
            if share == "none"
            else tuple(tuple(n for n in group if n in names) for group in share)
        )
        if groups not in self._plans:
            self._plans[groups] = make(self, [group for group in groups if group], partial(stacking.alike, self))
        return self._plans[groups]

    def stage(self, when: int | str, micro: int = 0, rank: int = 0) -> execute.ExecutionContext:
        settings = self.settings
        return execute.ExecutionContext(
            inputs=self.inputs,
            parts=self.model,
            masks=self.masks,
            pairings=self.pairings,
            sites=self.sites,
            streams=settings.streams,
            groups=settings.pairing_groups,
            slots=self.slots,
            seed=settings.seed,
            when=when,
            averages=self.averages.values(),
            salt=(micro, rank),
            recompute=settings.recompute if self.training else frozenset(),
            seed_dropout=self.training,
        )

    def forward(
        self,
        batch: Batch,
        step: int,
        micro: int = 0,
        micro_steps: int = 1,
        counts: Mapping[str, Tensor] | None = None,
        names: Sequence[str] | None = None,
        stage: execute.ExecutionContext | None = None,
    ) -> Losses:
        """Losses of one micro-batch.

        counts  what terms are divided by, over all processes and micro-batches; a term that is not in it is taken
                to have the same count in each of the `micro_steps` micro-batches
        names   the objectives to compute; by default those live at `step`
        stage   how passes draw; by default as training does at `step`
        """
        names = self.live(step, batch.source) if names is None else tuple(names)
        if unknown := [name for name in names if name not in self.objectives]:
            raise RecipeError.one(
                f"there is no objective '{unknown[0]}'", f"there are {', '.join(self.objectives)}", path="objectives"
            )
        stage = stage or self.stage(step, micro, distributed.joined().rank)
        terms: dict[str, Term] = {}
        statistics: dict[str, dict[str, Statistic]] = {}
        with _random_state_kept(stage, batch.number.device), self.autocasting():
            for share in self.plan(names).shares:
                values = execute.run(share, stage, batch)
                wide = {
                    view: widened(execute.read(view, values))
                    for views in share.views.values()
                    for view in views.values()
                }
                with self._full_precision():
                    for name in share.objectives:
                        views = {key: wide[view] for key, view in share.views[name].items()}
                        for key, value in self._returned(name, views, batch, stage).items():
                            if isinstance(value, Term):
                                terms[f"{name}/{key}"] = value
                            else:
                                statistics.setdefault(name, {})[key] = detached(value)
        weights = {name: weight_at(self.settings.weights[name], step, self.settings.steps) for name in names}
        own = {name: _tensor(term.count, term.total) for name, term in terms.items()}
        counts = dict(counts or {})
        assumed = {name: count * micro_steps for name, count in own.items() if name not in counts}
        return Losses(terms, weights, counts | summed(assumed), statistics, step)

    def counting(self, step: int, source: str = "") -> tuple[str, ...]:
        """Live objectives that declare `counts`."""
        live = self.live(step, source)
        return tuple(name for name in live if type(self.objectives[name]).counts is not Objective.counts)

    def counts(self, batch: Batch, step: int, micro: int = 0) -> dict[str, Tensor]:
        """`objective/term` -> this process's count before any pass, of objectives that declare `counts`."""
        names, stage = self.live(step, batch.source), self.stage(step, micro, distributed.joined().rank)
        able = self.counting(step, batch.source)
        found: dict[str, Tensor] = {}
        for share in self.plan(names).shares:
            counting = [name for name in share.objectives if name in able]
            if not counting:
                continue
            values = static_values.run(share, stage, batch)
            for name in counting:
                views = {
                    key: execute.read(view, values)
                    for key, view in share.views[name].items()
                    if static_values.whole(view, values)
                }
                objective: Any = self.objectives[name]
                call = objective.counts
                with work_of(("objectives", name), "counting", self.objectives[name]):
                    for piece in pieces(self.settings.group[name], views, batch):
                        told = call(**self._asked(call, name, piece, stage, batch))
                        for term, count in given(told, Mapping, call, "{term: count}").items():
                            key = f"{name}/{term}"
                            number = _tensor(count, batch.number)
                            found[key] = found[key] + number if key in found else number
        return found

    def _returned(
        self, name: str, views: Mapping[str, Any], batch: Batch, stage: execute.ExecutionContext
    ) -> Mapping[str, Term | Statistic]:
        """What an objective returns, over its groups."""
        objective = self.objectives[name]
        joined: dict[str, Term | Statistic] = {}
        stage.reseed(f"objective {name}")
        with work_of(("objectives", name), "the loss", objective):
            for piece in pieces(self.settings.group[name], views, batch):
                returned = objective(**self._asked(objective.forward, name, piece, stage, batch))
                if why := no_terms(returned):
                    raise ContractError(why, RETURNS, objective.forward)
                for key, value in returned.items():
                    joined[key] = combined(key, joined[key], value, objective) if key in joined else value
        return joined

    def backward_blamed(self) -> AbstractContextManager[None]:
        """A context in which what fails in a backward pass is noted as the part's or objective's whose lines failed."""
        return work_among(
            {("model", name): part for name, part in self.model.items()}
            | {("objectives", name): one for name, one in self.objectives.items()},
            "the backward pass",
        )

    def _asked(
        self,
        call: Callable[..., Any],
        name: str,
        piece: Mapping[str, Any],
        stage: execute.ExecutionContext,
        batch: Batch,
    ) -> dict[str, Any]:
        """The keywords that a function's signature names."""
        local = self.settings.group[name] != "all"
        objective = self.objectives[name]
        offered = dict(piece)
        offered["noise"] = Noise(stage.seed, f"objective {name}", stage.when, piece["batch"].number)
        offered["gather"] = (
            _itself
            if local
            else self.gathers
            or (partial(all_gather_with_grad, gradient=self.settings.gradient) if distributed.active() else _itself)
        )
        offered |= objective.config.held("part", dict(self.model.items()))
        if objective.averaged and call == objective.forward:
            offered["averaged"] = callables(self, name)
        met(call, offered)
        return asked_for(call, offered)

    def autocasting(self) -> AbstractContextManager[Any]:
        """The precision of passes, as a context."""
        return nullcontext() if self.autocast is None else torch.autocast(self.autocast[0], self.autocast[1])

    def _full_precision(self) -> AbstractContextManager[Any]:
        return nullcontext() if self.autocast is None else torch.autocast(self.autocast[0], enabled=False)

    def keep_averages(self, decay: Decay) -> None:
        """Starts averages of the parts and of objectives' modules that run by averaged weights, and of no others."""
        self.averages = averages_of(self, decay)

    def after_step(self, *losses: Losses) -> None:
        """What follows every optimiser step of a loop that moves its optimiser itself.

        Bounded parameters go back into their bounds, averages of weights move on, and objectives change their buffers.

        Args:
            losses: Those of the step's micro-batches. They may be left out where no objective has an `after_step` and
                the decay of averages is a number.

        Raises:
            RecipeError: They are left out and needed.
            NonFiniteError: A statistic of an objective is not finite.
        """
        step, statistics = joined_losses(self.objectives, losses)
        self.follow_step(step, statistics)

    @torch.no_grad()
    def follow_step(self, step: int | None, statistics: Joined) -> None:
        """As `after_step`, of statistics over all micro-batches and processes, `step_statistics.joined`."""
        for own, part in self.model.items():
            with work_of(("model", own), "asking for its bounds", part):
                for name, (low, high) in part.bounds().items():
                    part.get_parameter(name).clamp_(low, high)
        self.averages.follow(self, step)
        hand_over(self.objectives, statistics)


def _random_state_kept(stage: execute.ExecutionContext, device: torch.device) -> AbstractContextManager[None]:
    """Dropout is seeded by pass; the caller's own random state, on the CPU and on this device, is left as it was.

    Without a list of devices torch would make a context on every GPU of the machine, in every process.
    """
    if not stage.seed_dropout:
        return nullcontext()
    return torch.random.fork_rng([device] if device.type == "cuda" else [])


def _itself(x: Tensor) -> Tensor:
    return x
