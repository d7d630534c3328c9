"""The stages one after the other."""

from collections.abc import Mapping
from pathlib import Path

from vlobjectives.checking.capabilities import capabilities
from vlobjectives.checking.data import data
from vlobjectives.checking.evaluations import evaluations
from vlobjectives.checking.initial_run import begun
from vlobjectives.checking.meta_build import Built
from vlobjectives.checking.references import references, unused
from vlobjectives.checking.resources import means
from vlobjectives.checking.sanity import sense
from vlobjectives.checking.shapes import shapes
from vlobjectives.costs.shape_check import Step
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import source_path
from vlobjectives.recipe.report import STAGES, Report
from vlobjectives.recipe.yaml import KeyPath, dotted
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import resolved
from vlobjectives.resolved.entries import Named, add_files, entries, names
from vlobjectives.resolved.remainder import rest
from vlobjectives.run_folder import has_checkpoint, kept_fields, run_of

SECTIONS = ("data", "model", "inputs", "fields", "masks", "pairings", "objectives")
"""Sections without which nothing can be built: one that is wrong as a whole ends a check at its names."""


def check(
    loaded: Loaded,
    registry: Registry,
    processes: int = 1,
    place: Path | None = None,
    thorough: bool = False,
    trains: bool = True,
) -> tuple[Loaded, Report]:
    """Every check of a recipe that was loaded; gives the recipe resolved, and what was found.

    place     the run folder to be; by default the one that the recipe lies in, or one under run.folder
    thorough  stage `data` reads every record and the header of every file
    trains    False: no step will be taken, so that none is tried
    """
    report = Report()
    report.add("keys", [*loaded.problems, *loaded.layered.notes])
    all_files = add_files(loaded, registry, report)
    whole = loaded = resolved(loaded, registry)
    named = names(loaded, registry, report, all_files)
    report.add("references", references(loaded, named, report))
    if not report.errors:
        report.add("references", unused(loaded, named))
    lost = {problem.path for problem in loaded.problems} & {"inputs", *SECTIONS}
    if lost or any(source_path(name) not in named for name in loaded.recipe.sources):
        return whole, _left(_skipped(report, report.findings[0].stage), whole, named)
    loaded, named = rest(loaded, named, report.errors_of("references"))
    run = run_of(loaded, place)
    loaded, named, made = data(loaded, registry, named, thorough, report, kept_fields(loaded, place))
    if made is None:
        return whole, _left(_skipped(report, "data"), whole, named)
    loaded, named, built = capabilities(loaded, registry, named, made, processes, report)
    if built is None:
        return whole, _left(_skipped(report, "capabilities"), whole, named)
    sound = not report.errors
    if trains and sound:
        begun(loaded, registry, made, run, report)
    step = None
    if trains and not sense(loaded, built, processes, report):
        report.skip(["shapes"], "sense")
    elif trains:
        loaded, named, built, step = _stepped(loaded, registry, named, built, processes, report)
    evaluations(loaded, registry, named, built, step is not None or not trains, report)
    if trains:
        means(loaded, built, step if sound else None, processes, place, has_checkpoint(run), report)
    return whole, _left(report, whole, named)


def _stepped(
    loaded: Loaded, registry: Registry, named: Mapping[KeyPath, Named], built: Built, processes: int, report: Report
) -> tuple[Loaded, Mapping[KeyPath, Named], Built, Step | None]:
    """Stage `shapes`, again without what failed until nothing does: one loss that fails hides those behind it."""
    step, told = None, -1
    while built.objectives and told != len(report.errors):
        told = len(report.errors)
        step = shapes(loaded, registry, built.made, built, processes, report)
        if step is None:
            loaded, named = rest(loaded, named, report.errors_of("shapes"))
            built = built.of_recipe(loaded.recipe)
    return loaded, named, built, step if told >= 0 and not report.errors_of("shapes") else None


def _left(report: Report, whole: Loaded, named: Mapping[KeyPath, Named]) -> Report:
    """The report with what was not looked at to the end, though nothing is told of it."""
    report.left += [
        dotted(path) for path, _, _ in entries(whole.recipe) if path not in named and not report.wrong(*map(str, path))
    ]
    return report


def _skipped(report: Report, broken: str) -> Report:
    """The report with all stages after a broken one named as skipped."""
    report.skip(STAGES[STAGES.index(broken) + 1 :], broken)
    return report
