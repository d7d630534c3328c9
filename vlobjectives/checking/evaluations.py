"""Stage `capabilities`, its last part: every evaluation that the recipe names runs.

What an evaluation can judge no signature tells, and one that fails does so when the training is paid for. So each runs
here, on a few samples of the data and a small form of the model with first weights. One that fails with an option and
runs with another value in its place has that option wrong, and what it ran with is what would do.
"""

import inspect
from difflib import get_close_matches
from pathlib import Path

from vlobjectives.checking.evaluation_trials import TrialFault, Trials
from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.checking.trial_system import SAMPLES
from vlobjectives.contracts.source import Source
from vlobjectives.errors import DataError, Place, PluginError, RecipeError
from vlobjectives.plugin_loading.load import where_raised
from vlobjectives.recipe import hints
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.report import Report
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.resolved.entries import Named
from vlobjectives.resolved.resolved import Resolved

STAGE = "capabilities"


def evaluations(resolved: Resolved, built: MetaBuild, runs: bool, report: Report) -> None:
    """What is wrong with each evaluation, at the option that is to blame where one is.

    runs  whether the system takes a step: of one that does not, what fails is no fault of an evaluation's
    """
    loaded, trials, unrun = resolved.loaded, Trials(resolved, built), []
    for path, one in resolved.entries.items():
        if one.kind != "evaluation":
            continue
        if lacking := _lacking(loaded, one, trials):
            missing, source = lacking
            report.add(
                STAGE,
                [
                    loaded.problem(
                        path,
                        f"it needs {', '.join(missing)}, which the source {source} does not have",
                        _instead(missing, trials) + f"leave it out: evaluate.{path[1]}=false",
                        key=True,
                    )
                ],
            )
        elif (fault := trials.fault(path, one)) is not None:
            if problems := list(trials.corrected(path, one, fault)):
                report.add(STAGE, problems)
            else:
                _tell(loaded, path, one, fault, trials, runs, report)
        elif trials.untried:
            unrun.append(str(path[1]))
    if unrun and not report.errors_of("data"):  # which are why, then
        report.add(
            STAGE,
            [
                loaded.problem(
                    ("evaluate",),
                    f"not tried: {', '.join(unrun)}; {trials.untried}",
                    "`vlobj "
                    "run` with --tiny tries them on scenes; else what is wrong with them shows "
                    "when the run evaluates",
                    note=True,
                )
            ],
        )


def _lacking(loaded: Loaded, one: Named, trials: "Trials") -> tuple[list[str], str] | None:
    """What an evaluation needs and a source that it names (or, where it names none, every source) lacks."""
    feeds = trials.built.made.feeds
    whole = trials.made(one)
    if whole is None:
        return None
    found = [
        (missing, f"'{loaded.recipe.sources[name].type}'" + (f" (data.mix.{name})" if name else ""))
        for name in one.sources or feeds
        if (missing := trials.unmet(whole, name))
    ]
    return found[0] if found and (one.sources or len(found) == len(feeds)) else None


def _instead(missing: list[str], trials: "Trials") -> str:
    """The words that are nearest to what no source has, if it may be misspelt."""
    known = set(Source.WORDS["can"]).union(*(feed.source.has for feed in trials.built.made.feeds.values()))
    near = {word: get_close_matches(word, known, 1, 0.7) for word in missing if word not in known}
    return "".join(f"did you mean '{found[0]}' by '{word}'? Or " for word, found in near.items() if found)


def _tell(
    loaded: Loaded, path: KeyPath, one: Named, fault: TrialFault, trials: Trials, runs: bool, report: Report
) -> None:
    """A fault that no other value corrects."""
    away = f"leave it out: evaluate.{path[1]}=false"
    report.add(STAGE, [loaded.problem(where, what, hint) for where, what, hint in fault.found])
    if fault.error is None:
        return
    if not fault.foreign:
        of_data = isinstance(fault.error, DataError)
        if of_data and fault.ran and report.errors_of("data"):
            return
        report.add(
            STAGE,
            [
                loaded.problem(
                    path, fault.why, getattr(fault.error, "hint", "") or away, key=True, note=of_data and fault.ran
                )
            ],  # in few samples: others may do
            DataError.code if of_data else RecipeError.code,
        )
        return
    place, option = _where(fault.error, one.cls), _blamed(fault.error, one, trials)
    what = fault.why + (f" ({place})" if place else "")
    if option is not None:
        report.add(
            STAGE,
            [
                loaded.problem(
                    (*path, option),
                    f"`{hints.written(option, getattr(one.config, option))}` "
                    f"cannot serve, and nothing else in this recipe can: {what}",
                    away,
                )
            ],
        )
    elif not fault.ran:
        report.add(
            STAGE,
            [
                loaded.problem(
                    path,
                    f"its plug-in fails: {what}",
                    "correct the plug-in; `vlobj --debug run` shows the traceback",
                    key=True,
                )
            ],
            PluginError.code,
        )
    elif runs:  # with few samples and first weights, which may be to blame
        report.add(
            STAGE,
            [
                loaded.problem(
                    path,
                    f"it fails on {SAMPLES} samples and a small form of the model: {what}",
                    f"correct the plug-in, or {away}",
                    note=True,
                    key=True,
                )
            ],
        )


def _where(error: BaseException, cls: type) -> Place | None:
    """The last line of the evaluation's own file that took part, or else of any."""
    try:
        return where_raised(error, Path(inspect.getfile(cls)).resolve())
    except (TypeError, OSError):  # a class that was made in no file
        return where_raised(error)


def _blamed(error: BaseException, one: Named, trials: Trials) -> str | None:
    """The option whose part or objective failed, or lacks what the evaluation reads of it."""
    owner: dict[int, str] = {}
    systems = [held.system for held in trials.held.values()][:1]
    for parts, objectives in [
        (trials.built.parts, trials.built.objectives),
        *((system.model, system.objectives) for system in systems),
    ]:
        owner |= {id(parts[name]): option for option, name in one.config.named("part").items() if name in parts}
        for option, name in one.config.named("objective").items():
            if name in objectives:
                owner |= {id(objectives[name]): option, id(objectives[name].config): option}
    frame, found = error.__traceback__, owner.get(id(getattr(error, "obj", None)))
    while frame is not None:
        found = owner.get(id(frame.tb_frame.f_locals.get("self")), found)
        frame = frame.tb_next
    return found
