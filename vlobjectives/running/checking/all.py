"""The stages one after the other."""

from pathlib import Path

from vlobjectives.recipe.checks import STAGES, Report
from vlobjectives.recipe.checks_names import add_files, names
from vlobjectives.recipe.checks_references import references, unused
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.resolving import resolved
from vlobjectives.registry import Registry
from vlobjectives.running.checking.begun import begun
from vlobjectives.running.checking.capabilities import capabilities
from vlobjectives.running.checking.data import data
from vlobjectives.running.checking.evaluations import evaluations
from vlobjectives.running.checking.means import means
from vlobjectives.running.checking.sense import sense
from vlobjectives.running.checking.shapes import shapes
from vlobjectives.running.folder import has_checkpoint, kept_fields, run_of


def check(loaded: Loaded, registry: Registry, processes: int = 1, place: Path | None = None,
          thorough: bool = False, trains: bool = True) -> tuple[Loaded, Report]:
    """Every check of a recipe that was loaded; gives the recipe resolved, and what was found.

    place     the run folder to be; by default the one that the recipe lies in, or one under run.folder
    thorough  stage `data` reads every record and the header of every file
    trains    False: no step will be taken, so that none is tried
    """
    report = Report()
    report.add("keys", loaded.layered.notes)
    if not add_files(loaded, registry, report):
        return loaded, _skipped(report, "names")
    loaded = resolved(loaded, registry)
    named = names(loaded, registry, report)
    if named is None:
        return loaded, _skipped(report, "names")
    sound = report.add("references", references(loaded, named))
    report.add("references", unused(loaded, named))
    if not sound:
        return loaded, _skipped(report, "references")
    run = run_of(loaded, place)
    made = data(loaded, registry, named, thorough, report, kept_fields(loaded, place))
    if made is None:
        return loaded, _skipped(report, "data")
    built = capabilities(loaded, registry, named, made, processes, report)
    if built is None:
        return loaded, _skipped(report, "capabilities")
    if trains and not begun(loaded, registry, made, run, report):
        return loaded, _skipped(report, "capabilities")
    if not trains:
        evaluations(loaded, registry, named, built, True, report)
        return loaded, report
    whole = sense(loaded, built, processes, report)
    step = shapes(loaded, registry, made, built, processes, report) if whole else None
    if not whole:
        report.skip(["shapes"], "sense")
    evaluations(loaded, registry, named, built, step is not None, report)
    means(loaded, built, step, processes, place, has_checkpoint(run), report)
    return loaded, report


def _skipped(report: Report, broken: str) -> Report:
    """The report with all stages after a broken one named as skipped."""
    report.skip(STAGES[STAGES.index(broken) + 1:], broken)
    return report
