"""Stage `sanity`: what can be built and yet cannot be meant."""

import inspect
from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial

from vlobjectives.checking.answers_shown import _answers
from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.checking.unpaired import trained, unpaired
from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.parts import CannotBuild
from vlobjectives.contracts.passes import MaskKey
from vlobjectives.costs.plan_costs import spans
from vlobjectives.data.streams import Turns
from vlobjectives.errors import Problem
from vlobjectives.planning.plan import make
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.report import Report
from vlobjectives.recipe.times import in_steps
from vlobjectives.system.averages import wanted
from vlobjectives.training.optimizer import assign
from vlobjectives.training.schedule import live_sets

STAGE = "sanity"


def sense(loaded: Loaded, built: MetaBuild, processes: int, report: Report) -> bool:
    """Whether a step could be taken."""
    rows = (
        []
        if report.wrong("data", "batch") or report.wrong("data", "micro_batch")
        else list(_rows(loaded, built, processes))
    )
    when = [] if report.wrong("run", "steps") else list(_when(loaded, built))
    fed = [] if _left_out(loaded, "objectives") else list(unpaired(loaded, built))
    report.add(
        STAGE,
        [
            *rows,
            *_masks(loaded, built),
            *_answers(loaded, built),
            *_groups(loaded, built),
            *when,
            *fed,
            *_averages(loaded, built),
        ],
    )
    return all(problem.note for problem in rows + when + fed)


def _rows(loaded: Loaded, built: MetaBuild, processes: int) -> Iterator[Problem]:
    """How many rows a step, a loss and a pairing see."""
    recipe = loaded.recipe
    batch = recipe.data.batch
    micro = recipe.data.rows(processes)
    if recipe.data.micro_batch is None and batch % processes:
        yield loaded.problem(
            ("data", "batch"),
            f"a batch of {batch} cannot be shared by {processes} processes",
            f"take a multiple of {processes}",
        )
        return
    if batch % (micro * processes):
        fits = (
            max(n for n in range(1, batch // processes + 1) if batch % (n * processes) == 0)
            if batch % processes == 0
            else None
        )
        yield loaded.problem(
            ("data", "micro_batch"),
            f"{processes} process{'es' * (processes > 1)} with micro-batches "
            f"of {micro} do not make up a batch of {batch}",
            f"data.micro_batch={fits}" if fits else f"data.batch={batch // processes * processes}",
        )
    alone = list(_alone(built)) if batch == 1 else []
    if alone:
        yield loaded.problem(
            ("data", "batch"),
            f"a batch of 1 has no other row, and {', '.join(alone)} compare rows",
            "data.batch=2, or as many as fit",
        )
        return
    for name, objective in built.objectives.items():
        yield from _seen(loaded, name, objective, micro, processes)
    for name, group in built.rows.items():
        if group < 2:
            yield loaded.problem(
                ("pairings", name, "group"),
                "among one row there is no wrong partner",
                "give it two rows or more: `group`, or data.micro_batch",
            )
        elif micro % group:
            yield loaded.problem(
                ("pairings", name, "group"),
                f"groups of {group} rows do not fit into the {micro} "
                "rows that a process passes at once, and partners would be others than these groups "
                "give",
                f"pairings.{name}.group={micro}",
            )


def _alone(built: MetaBuild) -> Iterator[str]:
    """Whatever compares rows of a batch."""
    yield from (f"objectives.{name}" for name, objective in built.objectives.items() if _compares(objective))
    yield from (f"pairings.{name}" for name in built.pairings)


def _compares(objective: Objective) -> bool:
    """Whether a loss compares rows: one that gathers, or is local by default, does."""
    return "gather" in inspect.signature(objective.forward).parameters or type(objective).group != "all"


def _seen(loaded: Loaded, name: str, objective: Objective, micro: int, processes: int) -> Iterator[Problem]:
    """Rows that a loss compares."""
    written = loaded.recipe.objectives[name].group
    group = type(objective).group if written is None else written
    path = ("objectives", name) if written is None else ("objectives", name, "group")
    if group != "all" and micro % int(group):
        near = max(n for n in range(1, min(int(group), micro) + 1) if micro % n == 0)
        yield loaded.problem(
            path,
            f"groups of {group} rows do not fit into the {micro} rows that a process passes at once",
            f"objectives.{name}.group={near}",
        )
    rows = micro * processes if group == "all" else int(group)
    if _compares(objective) and rows < 2:
        yield loaded.problem(
            path,
            f"it compares rows and sees {rows}",
            "two rows or more: raise data.micro_batch" + ("" if group == "all" else " and `group`"),
        )


def _masks(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    """Under every mask something is hidden and something seen."""
    used = {
        work.key: None
        for name in built.objectives
        for work in make(built, [(name,)]).shares[0].work
        if isinstance(work.key, MaskKey)
    }
    for key, sites in ((key, sites) for key in used for sites in built.sites.values() if key.input in sites):
        site, mask = sites[key.input], built.masks[key.mask]
        words = site.positions - (2 if site.grid is None else 0)  # begin and end are never hidden
        try:
            fewest, most = mask.hides(site)
        except CannotBuild:  # the shape check says so
            continue
        unit = "patches" if site.grid is not None else "words"
        options = loaded.recipe.masks[key.mask].options
        path = ("masks", key.mask, *(["ratio"] if "ratio" in options else []))
        if fewest < 1:
            yield loaded.problem(
                path,
                f"it hides none of the {words} {unit} of '{key.input}'",
                "hide more: raise its ratio, or take smaller patches",
            )
        elif most >= words:
            yield loaded.problem(
                path, f"it may hide all {words} {unit} of '{key.input}'", "leave something to see: lower its ratio"
            )


def _averages(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    """A decay that is written where nothing is averaged: it would look as if weights were."""
    written = loaded.recipe.run.ema.decay != type(loaded.recipe.run.ema)().decay  # a run's recipe holds defaults too
    averaged = wanted(built) or any(one.averaged for one in built.objectives.values())
    if written and ("run", "ema", "decay") in loaded.layered.spots and not averaged:
        yield loaded.problem(
            ("run", "ema", "decay"),
            "no objective, mask or pairing looks at averaged weights: no "
            "average is kept, and scores are of the trained weights",
            "leave it out; a plug-in asks for them by view.ema(), an objective also by `averaged`",
            note=True,
        )


def _groups(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    """Patterns of optimiser groups that match, and that something is left for."""
    optim, steps = loaded.recipe.optim, loaded.recipe.run.steps
    names = [
        f"model.{part}.{name}"
        for part, module in built.parts.items()
        for name, p in module.named_parameters()
        if p.requires_grad
    ]
    names += [
        f"objectives.{of}.{name}"
        for of, module in built.objectives.items()
        for name, p in module.named_parameters()
        if p.requires_grad
    ]
    if built.balancer is not None:
        names += [f"balance.{name}" for name, p in built.balancer.named_parameters() if p.requires_grad]
    patterns = [group.match for group in optim.groups]
    owner, idle = assign(names, patterns)
    if not names:
        yield loaded.problem(
            ("model",),
            "nothing is trained: no part and no objective has a trained parameter",
            "train a part, or do without a run",
            note=True,
        )
    elif all(number >= 0 and optim.groups[number].lr == 0 for number in owner.values()):
        still = sorted({number for number in owner.values()})
        yield loaded.problem(
            ("optim", "groups", still[0], "lr"),
            f"nothing is trained: optim.groups gives lr 0 to all "
            f"{len(names)} parameters ({', '.join(optim.groups[number].match for number in still)})",
            "an lr above 0, or a pattern that leaves out what is to learn",
            note=True,
        )
    for number, group in enumerate(optim.groups):
        path = ("optim", "groups", number, "match")
        if number in idle and any(
            group.match.startswith(f"{gone}.") or fnmatchcase(f"{gone}.", group.match)
            for gone in (*_left_out(loaded, "model"), *_left_out(loaded, "objectives"))
        ):
            continue  # it may match what a check could not build
        if number in idle:
            yield loaded.problem(path, f"no trained parameter is called '{group.match}'", _nearest(group.match, names))
        elif number not in owner.values():
            yield loaded.problem(path, "groups above it take all that it matches", "put it above them", note=True)
        if group.start is not None and in_steps(group.start, steps) >= steps:
            yield loaded.problem(
                ("optim", "groups", number, "start"),
                f"the run ends at step {steps}, before these parameters begin to learn",
                "a whole number is steps, one with a point a share",
            )


def _left_out(loaded: Loaded, section: str) -> list[str]:
    """Dotted names of entries that were written and that a check does not look at, since they need what is wrong."""
    return [f"{section}.{name}" for name in loaded.layered.data[section] if name not in getattr(loaded.recipe, section)]


def _nearest(pattern: str, names: list[str]) -> str:
    owners = list(dict.fromkeys(".".join(name.split(".")[:2]) + ".*" for name in names))
    near = get_close_matches(pattern, [*names, *owners], 1) or owners
    return f"did you mean {near[0]}?" if len(near) == 1 else f"there are {', '.join(near)}"


def _before(whose: Turns, who: int, step: int) -> int:
    return whose.before(step, who)


def _when(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    """Times at which nothing would happen; of a source that no objective can be computed on, `unpaired` tells."""
    recipe, steps = loaded.recipe, loaded.recipe.run.steps
    mix = recipe.data.mix or {}
    whose = Turns([entry.weight for entry in mix.values()] or [1.0])
    for who, (source, names) in enumerate(
        trained(loaded, built).items() if not _left_out(loaded, "objectives") else ()
    ):
        weights = {name: recipe.objectives[name].weight for name in names}
        own = whose.before(steps, who)
        idle = spans(weights, steps, partial(_before, whose, who)).get((), 0)
        if idle and (names or built.made.feeds[source].fields.inputs.keys() >= built.inputs.keys()):
            where = f" on batches of '{source}'" if source else ""
            first = live_sets(weights, steps)[()]
            what = (
                f"no objective ever has a weight{where}"
                if idle == own
                else f"from step {first} on {idle} of the {own} steps{where} train nothing: no objective has a weight "
                "then"
            )
            yield loaded.problem(
                ("objectives",), what, "give one a weight from the start to the end of the run", note=idle < own
            )
    if in_steps(recipe.optim.schedule.warmup, steps) > steps:
        yield loaded.problem(
            ("optim", "schedule", "warmup"),
            f"the warm-up is longer than the run of {steps} steps",
            "a whole number is steps, a number with a point a share of the run",
        )
    every = recipe.evaluate.every
    if every is not None and every.steps is not None and every.steps > steps:
        yield loaded.problem(
            ("evaluate", "every", "steps"),
            f"the run ends at step {steps}, before the first of these evaluations",
            "lower it; at the end there is one in any case",
            note=True,
        )
