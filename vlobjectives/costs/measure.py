"""What a recipe costs: a shape check of every set of objectives that is ever live, counted."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from pathlib import Path
from typing import Any, cast

import torch

from vlobjectives.contracts.config import PartConfig
from vlobjectives.contracts.values import Term
from vlobjectives.costs import fake, plan_costs
from vlobjectives.costs.extrapolate import continued
from vlobjectives.costs.plan_costs import Costs
from vlobjectives.costs.shape_check import ShapeCheck, Step, build, specs
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.data.streams import turns
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe.model import Recipe, source_path
from vlobjectives.recipe.times import weight_at
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.runtime.distributed import SINGLE
from vlobjectives.system import assemble, step_statistics
from vlobjectives.system.system import System
from vlobjectives.training import schedule
from vlobjectives.training.schedule import live_sets

SMALL = 64
"""Rows up to which counts and chance levels are computed, and from which on they are continued: a contrast of tokens
grows with the square of its rows."""


def measure(resolved: Resolved, source: str | None = None, kept: Path | None = None) -> Costs:
    """What a recipe's plan costs a process; losses that gather have the rows of all of them.

    source  of a mix the source whose steps are meant; None: the first
    kept    the folder of a run's fields (see `build_data`)
    Raises BuildError where a step fails or the recipe cannot be built.
    """
    recipe, made = resolved.recipe, build_data(resolved, described=True, kept=kept)
    dry = build(resolved, made)
    who = list(made.feeds).index(source) if source is not None else 0
    source = list(made.feeds)[who]
    whose = turns(made.feeds)
    system, steps = dry.system, recipe.run.steps
    weights = system.weights(source)
    spans = plan_costs.spans(weights, steps, lambda step: whose.before(step, who))
    counted = {
        names: (first, dry.step(names, first, source)) for names, first in live_sets(weights, steps).items() if names
    }
    if not counted:
        raise BuildError(source_path(source), "no objective is ever computed on its batches", "`vlobj check` says why")
    compared = schedule.every(recipe.run.log.conflict, steps)
    comparing = {
        names: dry.step(names, first, source, compares=True) for names, (first, _) in counted.items() if compared
    }
    phases = tuple(
        plan_costs.Phase(
            names,
            first,
            spans.get(names, 0),
            len(system.plan(names).passes),
            sum(step.forward.values()),
            step.backward,
            comparing.get(names, step).memory,
            step.own_gradients,
            comparing.get(names, step).own_gradients - step.own_gradients,
        )
        for names, (first, step) in counted.items()
    )
    full = max(phases, key=lambda phase: phase.forward).objectives
    step = counted[full][1]
    return Costs(
        recipe=recipe.run.name or "",
        source=source,
        lacks=tuple(name for name in made.inputs if made.lacking(source, name)),
        device=dry.device,
        precision=dry.precision,
        batch=recipe.data.batch,
        micro_batch=dry.rows,
        processes=resolved.processes,
        steps=whose.before(steps, who),
        passes=_passes(system, full, step),
        objectives=_objectives(resolved, made, dry, full, step, source),
        parameters=_parameters(system),
        averages=_averages(system),
        state={
            name: step_statistics.state(one) for name, one in system.objectives.items() if step_statistics.takes(one)
        },
        phases=phases,
        schedules=_schedules(recipe, system, full, step),
        recomputed=tuple(recipe.plan.checkpoint),
        unknown={name: count for _, one in counted.values() for name, count in one.unknown.items()},
        balancer=recipe.balance.type if recipe.balance else "",
        balanced_on=tuple(dict.fromkeys(system.settings.balanced_on)) if step.own_gradients else (),
        compared=compared.step if compared else 0,
    )


def _passes(system: System, names: Sequence[str], step: Step) -> tuple[plan_costs.Pass, ...]:
    return tuple(
        plan_costs.Pass(
            work.key.title,
            work.key.runner,
            work.key.kind,
            work.key.reads,
            *step.shapes[work.key.title],
            work.consumers,
            step.forward.get(work.key.title, 0),
            tuple(view.reads for view in work.key.members) if len(work.key.members) > 1 else (),
        )
        for work in system.plan(names).passes
    )


def _objectives(
    resolved: Resolved,
    made: DataModule,
    dry: ShapeCheck,
    names: Sequence[str],
    step: Step,
    source: str,
) -> tuple[plan_costs.ObjectiveCost, ...]:
    settings = dry.system.settings
    seen = {name: plan_costs.together(settings.group[name], dry.rows, resolved.processes) for name in names}
    terms = _terms(resolved, made, names, seen, source)
    through, found = {work.key.part for work in dry.system.plan(names).passes}, []
    for name in names:
        weight = weight_at(settings.weights[name], settings.steps - 1, settings.steps)
        losses = tuple(
            plan_costs.Loss(key.split("/", 1)[1], weight * term.weight, _known(term.count), _known(term.chance))
            for key, term in terms.items()
            if key.split("/")[0] == name
        )
        group = settings.group[name]
        heads = [part for part in dry.system.objectives[name].config.named("part").values() if part not in through]
        found.append(plan_costs.ObjectiveCost(name, losses, seen[name], group, tuple(heads), step.forward.get(name, 0)))
    return tuple(found)


def _terms(
    resolved: Resolved, made: DataModule, names: Sequence[str], seen: Mapping[str, int], source: str
) -> Mapping[str, Term]:
    """The terms of a real step in which every part is tiny, for their counts and chance levels: those hang on rows,
    draws and vocabularies, not on widths. `seen`: objective -> rows that it sees together."""
    small = replace(resolved, world=SINGLE)  # one process, in which all that losses see together lies
    small = small.of_configs(
        "part", {name: cast(PartConfig, one.config).tiny() for name, one in resolved.of("part").items()}
    )
    system, rows = assemble.system(small, made).eval(), resolved.together

    def step(rows: int) -> Mapping[str, Term]:
        with torch.no_grad():
            return system(fake.fake_batch(specs(made, source), rows, source), 0, names=names).terms

    if rows <= SMALL:
        return step(rows)
    system.settings = replace(system.settings, group=dict.fromkeys(system.settings.group, "all"))
    return continued({size: step(size) for size in (SMALL // 4, SMALL // 2, SMALL)}, rows, seen)


def _known(value: Any) -> float | None:
    return None if value is None or isnan(float(value)) else float(value)


def _parameters(system: System) -> dict[str, int]:
    """Trained numbers by part, by objective with modules of its own, and of the balancer; a shared one belongs to who
    has it first."""
    seen: set[int] = set()
    found = {}
    balance = {"balance": system.balance} if system.balance is not None else {}
    for name, module in (*system.model.items(), *system.objectives.items(), *balance.items()):
        own = [p for p in module.parameters() if p.requires_grad and id(p) not in seen]
        seen |= {id(p) for p in own}
        if own:
            found[name] = sum(p.numel() for p in own)
    return found


def _averages(system: System) -> dict[str, int]:
    """Numbers that an average is kept of, by part; shared ones counted with each."""
    return {
        f"{part}~ema": sum(value.numel() for value in values.values())
        for part, values in system.averages.values().items()
    }


def _by_view(system: System, names: Sequence[str], counted: Mapping[str, int]) -> dict[str, int]:
    """What was counted of the plan's entries, of each view: inputs that are stacked cost the same each."""
    found = dict(counted)
    for work in system.plan(names).passes:
        if len(work.titles) > 1 and work.key.title in counted:
            found |= dict.fromkeys(work.titles, found.pop(work.key.title) // len(work.titles))
    return found


def _schedules(recipe: Recipe, system: System, names: Sequence[str], step: Step) -> dict[str, plan_costs.ScheduleCost]:
    """The planned schedule, the published groups if the recipe names them, and each objective by itself."""
    live = [[name for name in group if name in names] for group in recipe.plan.published]
    published = tuple(tuple(group) for group in live if group)
    if published:
        published += tuple((name,) for name in names if not any(name in group for group in published))
    counted = step.forward, step.memory.passes
    groups = {"planned": (tuple(names),), "published": published, "unshared": tuple((name,) for name in names)}
    return {
        what: plan_costs.schedule(system.plan(names, share), *(_by_view(system, names, of) for of in counted))
        for what, share in groups.items()
        if share
    }
