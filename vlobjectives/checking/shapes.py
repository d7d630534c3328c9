"""Stage `shapes`: a step without numbers, forward and backward, for every set of objectives that is ever live."""

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from vlobjectives.checking.data import told
from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.contracts.parts import CannotBuild, Part
from vlobjectives.costs import shape_check
from vlobjectives.errors import Problem
from vlobjectives.plugin_loading.attribution import line_of, whose
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.report import Report
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.system.system import System
from vlobjectives.training.schedule import live_sets

STAGE = "shapes"
SHOWN = 4
"""Parameters that are named one by one."""


def shapes(resolved: Resolved, built: MetaBuild, report: Report) -> shape_check.Step | None:
    """The step that needs most memory; None where one fails."""
    loaded, steps, reached = resolved.loaded, [], set()
    failed: dict[str, Problem] = {}
    try:
        system = shape_check.build(resolved, built.made)
    except BuildError as error:
        report.add(STAGE, [told(loaded, error)])
        return None
    system.accumulates = False  # gradients of earlier micro-batches would look like reached parameters
    with _quiet():
        for source in built.made.feeds:
            live = live_sets(system.system.weights(source), resolved.recipe.run.steps)
            for names in _largest(system.system, live):
                try:
                    steps.append(system.step(names, live[names], source))
                except BuildError as error:
                    failed.setdefault(str(error), _told(loaded, error))
                reached |= {id(p) for p in system.system.parameters() if p.grad is not None}
    if not report.add(STAGE, failed.values()):
        return None
    if not report.errors:
        report.add("sanity", [*_idle(loaded, system), *_unreached(loaded, system, reached)])
    return max(steps, key=lambda step: step.memory.peak)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's own words on what fails under fake tensors: it logs the traceback that is told in a line here."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    was, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was


def _largest(system: System, live: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The sets whose step is no mere part of another's: there every pass runs alike, so that nothing else can fail."""
    work = {
        names: {(one.key, one.trained) for share in system.plan(names).shares for one in share.work}
        for names in live
        if names
    }
    return [
        names
        for names, own in work.items()
        if not any(set(names) < set(other) and own <= more for other, more in work.items())
    ]


def _told(loaded: Loaded, error: BuildError) -> Problem:
    """With the line of the plug-in where it happened, but where the plug-in itself refuses."""
    cause, what = error.__cause__, error.why
    note = None if cause is None or isinstance(cause, CannotBuild) else whose(cause)
    if cause is not None and note is not None and (place := line_of(cause, note.files)):
        what += f" ({place})"
    return loaded.problem(error.path, what, error.hint, key=True)


def _idle(loaded: Loaded, system: shape_check.ShapeCheck) -> Iterator[Problem]:
    """Terms that train nothing, and do not say that they are metrics."""
    for key, why in sorted(system.idle.items()):
        name, term = key.split("/", 1)
        yield loaded.problem(
            ("objectives", name),
            f"its term '{term}' {why}, and moves no weight",
            "nothing, if all that it looks at is frozen; a metric is a Term of weight 0",
            note=True,
            key=True,
        )


def _unreached(loaded: Loaded, system: shape_check.ShapeCheck, reached: set[int]) -> Iterator[Problem]:
    """Trained parameters that get no gradient at any time."""
    for section, holder in (("model", system.system.model), ("objectives", system.system.objectives)):
        for name, module in holder.items():
            spare = module.spare if isinstance(module, Part) else frozenset()
            own = [(inner, p) for inner, p in module.named_parameters() if p.requires_grad and inner not in spare]
            idle = [f"{section}.{name}.{inner}" for inner, p in own if id(p) not in reached]
            more = f" and {len(idle) - SHOWN} more" if len(idle) > SHOWN else ""
            what = "any of its parameters" if len(idle) == len(own) else ", ".join(idle[:SHOWN]) + more
            if idle:
                yield loaded.problem(
                    (section, name),
                    f"no objective that is ever live reaches {what}",
                    "nothing, if it is meant to stay as it begins",
                    note=True,
                    key=True,
                )
