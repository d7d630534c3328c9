"""Evaluations tried on a few samples and the parts' small forms: what fails, and which other option corrects it."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, product
from typing import Any

import torch

from vlobjectives.checking.capabilities import asked_in_vain, views_of
from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.checking.trial_system import little
from vlobjectives.contracts import naming, roles
from vlobjectives.contracts.evaluation import Evaluation
from vlobjectives.contracts.naming import kinds
from vlobjectives.contracts.parts import CannotBuild
from vlobjectives.contracts.views import View, ViewError
from vlobjectives.errors import DataError, Problem, RecipeError
from vlobjectives.evaluation.context import SplitContext
from vlobjectives.plugin_loading.load import reason_of
from vlobjectives.plugin_loading.side_effects import contained
from vlobjectives.recipe import hints
from vlobjectives.recipe.yaml import KeyPath, dotted
from vlobjectives.resolved.entries import SECTION, Named
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.system.averages import averaged_parts, wanted
from vlobjectives.system.live_sources import lacking

MOST = 200
"""Values that are tried in place of one that fails."""


@dataclass
class TrialFault:
    """Why an evaluation cannot be had: what its views ask in vain, what it says itself, or what its code raises.

    ran  whether that was in `run`
    """

    found: list[tuple[KeyPath, str, str]] = field(default_factory=list)
    error: BaseException | None = None
    ran: bool = False

    @property
    def foreign(self) -> bool:
        """Whether its own code fails, in words that nobody chose for this."""
        return self.error is not None and not isinstance(self.error, CannotBuild | ViewError | RecipeError | DataError)

    @property
    def why(self) -> str:
        if self.error is None:
            return self.found[0][1]
        return (
            getattr(self.error, "why", None)
            or getattr(self.error, "what", None)
            or (reason_of(self.error) if self.foreign else str(self.error))
        )


@dataclass
class Trials:
    """Evaluations that are run on little."""

    resolved: Resolved
    built: MetaBuild

    def made(self, one: Named) -> Evaluation | None:
        try:
            with contained(f"evaluate.{one.entry.type}"):
                return one.cls(one.config)
        except Exception:  # `fault` says so
            return None

    def fault(self, path: KeyPath, one: Named) -> TrialFault | None:
        """None where the evaluation runs, on each source that it is for."""
        ran = False
        try:
            with contained(dotted(path), draws=True):
                whole = one.cls(one.config)
                if unfit := list(_roles(path, one, self.resolved.entries)):
                    return TrialFault(unfit)
                views = views_of(whole, self.built.bare)
                found = [problem for view in views.values() for problem in asked_in_vain(view, path, one, self.built)]
                found += [*_averages(path, views, self.built), *_swapped(path, one, views, self.built)]
                if found:
                    return TrialFault(list(dict.fromkeys(found)))
                ran = True
                self._run(one, whole)
        except (Exception, SystemExit) as error:  # a plug-in's own code
            return TrialFault([], error, ran)
        return None

    def unmet(self, whole: Evaluation, source: str) -> list[str]:
        """What an evaluation needs that a source does not have, or feed."""
        has, needs = self.built.made.feeds[source].source.has, set(whole.needs)
        try:
            lack = lacking(self.built, self.built.made, whole, source)
        except Exception:  # its views cannot be, or a third party's code fails: `fault` says so
            lack = {}
        return sorted((needs - has).union(*lack.values()))

    def _run(self, one: Named, whole: Evaluation) -> None:
        for name, held in self.held.items():
            if name in (one.sources or (name,)) and not self.unmet(whole, name):
                with torch.no_grad(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    for score in whole.run(held).values():
                        float(score.value)

    @property
    def held(self) -> Mapping[str, SplitContext]:
        """Source -> a few samples of a split that is evaluated; none where `untried` says why."""
        return self._little[0]

    @property
    def untried(self) -> str:
        """Why no evaluation can be run here; empty where it can."""
        return self._little[1]

    @cached_property
    def _little(self) -> tuple[Mapping[str, SplitContext], str]:
        return little(self.resolved, self.built)

    def corrected(self, path: KeyPath, one: Named, fault: TrialFault) -> Iterator[Problem]:
        """The options, one or two, with other values of which the evaluation runs; none where no such are found."""
        choices, left = self._choices(one), MOST
        for many in (1, 2):
            for options in combinations(choices, many):
                works = []
                for values in product(*(choices[option] for option in options)):
                    left -= 1
                    if left < 0:
                        return
                    config = one.config.model_copy(update=dict(zip(options, values)))
                    if self.fault(path, replace(one, config=config)) is None:
                        works.append(values)
                if works:
                    for place, option in enumerate(options):
                        fit = list(dict.fromkeys(values[place] for values in works))
                        yield self._wrong(path, one, option, fit, fault, many == 1)
                    return

    def _choices(self, one: Named) -> dict[str, Sequence[Any]]:
        """Option -> what could stand in its place: of a name the others of its kind, of words that were written the
        default. Options that were written come first."""
        recipe, found = self.resolved.recipe, {}
        for option, info in type(one.config).model_fields.items():
            value, names = getattr(one.config, option), [SECTION[kind] for kind in kinds(info) if kind in SECTION]
            if names and (value is None or isinstance(value, str)):
                found[option] = [other for section in names for other in getattr(recipe, section) if other != value]
            elif not (names or info.is_required() or isinstance(value, int | float)) and option in one.entry.options:
                found[option] = [info.get_default(call_default_factory=True)]
        return {option: found[option] for option in sorted(found, key=lambda option: option not in one.entry.options)}

    def _wrong(
        self, path: KeyPath, one: Named, option: str, fit: Sequence[Any], fault: TrialFault, alone: bool
    ) -> Problem:
        """`alone`: whether this option by itself is why."""
        value, meaning = getattr(one.config, option), type(one.config).model_fields[option].description
        what = next((what for where, what, _ in fault.found if where == (*path, option)), fault.why if alone else "")
        if fault.foreign or not what:
            shown = hints.written(option, value)
            what = f"`{shown}` cannot serve" + f" ({meaning})" * bool(meaning) + f": {what}" * bool(what)
        hint = hints.written(option, fit[0]) if len(fit) == 1 else f"name one of {', '.join(map(str, fit))}"
        return self.resolved.loaded.problem((*path, option), what, hint)


def _roles(path: KeyPath, one: Named, named: Mapping[KeyPath, Named]) -> Iterator[tuple[KeyPath, str, str]]:
    """Objectives that do not fill the role that an option needs."""
    objectives = {where[1]: other for where, other in named.items() if where[0] == "objectives"}
    for place, name, role in naming.needs(one.config):
        if name in objectives and (lacks := roles.lacking(objectives[name].cls, role)):
            fit = [other for other, its in objectives.items() if not roles.lacking(its.cls, role)]
            yield (
                (*path, *place),
                f"'{name}' is none that {roles.does(role)}: {objectives[name].cls.__name__} has no "
                + ", ".join(f"`{method}`" for method in lacks),
                f"name {'one of ' * (len(fit) > 1)}{', '.join(map(str, fit))}"
                if fit
                else f"leave it out: {path[0]}.{path[1]}=false, or add one",
            )


def _averages(path: KeyPath, views: Mapping[str, Any], built: MetaBuild) -> Iterator[tuple[KeyPath, str, str]]:
    """An evaluation sees the averages that training keeps, and makes none."""
    for part in sorted(set().union(*map(averaged_parts, views.values())) - wanted(built)):
        yield (
            path,
            f"it looks at '{part}' by averaged weights, of which no average is kept: no mask, pairing or "
            "objective looks at them",
            f"leave it out: evaluate.{path[1]}=false",
        )


def _swapped(
    path: KeyPath, one: Named, views: Mapping[str, View], built: MetaBuild
) -> Iterator[tuple[KeyPath, str, str]]:
    """Inputs that stand on the wrong side: `image` names one that a projection or fusion takes as its text."""
    inputs = one.config.named("input")
    for part in {view.part for view in views.values()} & built.parts.keys():
        sides = built.parts[part].config.named("part")
        for option, name in inputs.items():
            encoder = built.bare[name].part
            as_what = [side for side, taken in sides.items() if taken == encoder]
            if option in sides and as_what and option not in as_what:
                yield (
                    (*path, option),
                    f"'{name}' is what '{part}' takes as its {as_what[0]}, not as its {option}",
                    f"name an input of the encoder '{sides[option]}'",
                )
