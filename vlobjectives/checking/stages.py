"""The stages one after the other."""

from pathlib import Path

from vlobjectives.checking.capabilities import capabilities
from vlobjectives.checking.data import data
from vlobjectives.checking.evaluations import evaluations
from vlobjectives.checking.initial_run import begun
from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.checking.references import references, unused
from vlobjectives.checking.resources import means
from vlobjectives.checking.sanity import sense
from vlobjectives.checking.shapes import shapes
from vlobjectives.costs.shape_check import Step
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.report import STAGES, Report
from vlobjectives.recipe.yaml import dotted
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import absolute
from vlobjectives.resolved.entries import add_files, entries, names
from vlobjectives.resolved.remainder import rest
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.run_folder import has_checkpoint, kept_fields, run_of
from vlobjectives.runtime.distributed import World

SECTIONS = ("data", "model", "inputs", "fields", "masks", "pairings", "objectives")
"""Sections without which nothing can be built: one that is wrong as a whole ends a check at its names."""


def check(
    loaded: Loaded,
    registry: Registry,
    processes: int = 1,
    place: Path | None = None,
    thorough: bool = False,
    trains: bool = True,
) -> tuple[Resolved, Report]:
    """Every check of a recipe that was loaded; gives the recipe resolved, and what was found. Where there are errors,
    what is wrong is not among its entries.

    place     the run folder to be; by default the one that the recipe lies in, or one under run.folder
    thorough  stage `data` reads every record and the header of every file
    trains    False: no step will be taken, so that none is tried
    """
    report = Report()
    report.add("keys", [*loaded.problems, *loaded.layered.notes])
    all_files = add_files(loaded, registry, report)
    loaded = absolute(loaded, registry)
    report.add("keys", loaded.layered.notes)
    whole = Resolved(loaded, registry, names(loaded, registry, report, all_files), World(size=processes))
    report.add("references", references(loaded, whole.entries, report))
    if not report.errors:
        report.add("references", unused(loaded, whole.entries))
    lost = {problem.path for problem in loaded.problems} & {"inputs", *SECTIONS}
    if lost or whole.of("source").keys() != loaded.recipe.sources.keys():
        return whole, _left(_skipped(report, report.findings[0].stage), whole, whole)
    less = rest(whole, report.errors_of("references"))
    run, kept = run_of(less.loaded, place), kept_fields(less.loaded, place)
    less, made = data(less, thorough, report, kept)
    if made is None:
        return whole, _left(_skipped(report, "data"), whole, less)
    less, built = capabilities(less, made, report)
    if built is None:
        return whole, _left(_skipped(report, "capabilities"), whole, less)
    sound = not report.errors
    if trains and sound:
        begun(less, made, run, report)
    step = None
    if trains and not sense(less.loaded, built, processes, report):
        report.skip(["shapes"], "sanity")
    elif trains:
        less, built, step = _stepped(less, built, report)
    evaluations(less, built, step is not None or not trains, report)
    if trains:
        means(less.loaded, built, step if sound else None, processes, place, has_checkpoint(run), report)
    return whole, _left(report, whole, less)


def _stepped(resolved: Resolved, built: MetaBuild, report: Report) -> tuple[Resolved, MetaBuild, Step | None]:
    """Stage `shapes`, again without what failed until nothing does: one loss that fails hides those behind it."""
    step, told = None, -1
    while built.objectives and told != len(report.errors):
        told = len(report.errors)
        step = shapes(resolved, built, report)
        if step is None:
            resolved = rest(resolved, report.errors_of("shapes"))
            built = built.of_recipe(resolved.recipe)
    return resolved, built, step if told >= 0 and not report.errors_of("shapes") else None


def _left(report: Report, whole: Resolved, less: Resolved) -> Report:
    """The report with what was not looked at to the end, though nothing is told of it."""
    report.left += [
        dotted(path)
        for path, _, _ in entries(whole.recipe)
        if path not in less.entries and not report.wrong(*map(str, path))
    ]
    return report


def _skipped(report: Report, broken: str) -> Report:
    """The report with all stages after a broken one named as skipped."""
    report.skip(STAGES[STAGES.index(broken) + 1 :], broken)
    return report
