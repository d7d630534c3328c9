"""The checks of trackers: runs of a few steps that are watched, against the same runs unwatched."""

import copy
import json
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from vlobjectives.contracts.evaluation import Score
from vlobjectives.contracts.hooks import Run
from vlobjectives.contracts.tracker import Tracker
from vlobjectives.data.differences import difference
from vlobjectives.errors import PluginError
from vlobjectives.plugin_loading.load import HOOKS
from vlobjectives.recipe import dump, load
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import resolve
from vlobjectives.run_folder import RunFolder
from vlobjectives.runs import train_run
from vlobjectives.runtime.log import Log
from vlobjectives.system import checkpoint
from vlobjectives.testing.check import Check, CheckFailed, demand, listed
from vlobjectives.testing.toys import Toy

STEPS = 3
WATCHED = tuple(hook for hook in HOOKS if hook != "vlobj_components")
TIMED = ("samples_per_second", "seconds", "waiting", "memory")
"""What of a step's metrics is of the machine."""


def tracker_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of trackers; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


def tracker_of(toy: Toy, name: str) -> Tracker:
    """The tracker, made anew."""
    one = toy.resolved.of("tracker")[name]
    made: Tracker = one.cls(one.config)
    return made


@dataclass(frozen=True)
class WatchedRun:
    """What a run leaves behind, without what its clock says, and what was warned of."""

    metrics: list[dict[str, Any]]
    summary: Mapping[str, Any]
    weights: Mapping[str, Any]
    warned: tuple[str, ...]


def ran(toy: Toy, folder: Path, steps: int) -> tuple[str, ...]:
    """Runs the toy's recipe to this step, or goes on to it; gives the warnings."""
    fresh = replace(toy)  # with a registry of its own: a run's trackers are registered in it
    path = folder / "toy.yaml"
    path.write_text(dump(toy.recipe), encoding="utf-8")
    words = (f"run.steps={steps}", "run.device=cpu", "run.precision=fp32", "run.checkpoint.steps=1")
    resolved = resolve(load(path, (*words, "evaluate.every={steps: 1}", "evaluate.splits=[val]")), fresh.registry)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train_run.run(resolved, folder / "run", Log(first=False), (folder / "run").is_dir())
    return tuple(str(one.message) for one in caught)


def outcome(folder: Path, warned: tuple[str, ...]) -> WatchedRun:
    """What lies in a run folder."""
    place = RunFolder(folder / "run")
    found, _ = checkpoint.newest(place.checkpoints)
    if found is None:
        raise CheckFailed("the run's checkpoint is gone", "write into a folder of your own beside the run's files")
    lines = map(json.loads, place.metrics.read_text(encoding="utf-8").splitlines())
    metrics = [{key: x for key, x in line.items() if key not in TIMED} for line in lines]
    return WatchedRun(metrics, place.read("summary.json"), load_file(found.folder / checkpoint.MODEL), warned)


@lru_cache(maxsize=4)
def _run(toy: Toy, resumed: bool = False) -> WatchedRun:
    with tempfile.TemporaryDirectory() as folder:
        warned = ran(toy, Path(folder), 1) if resumed else ()
        return outcome(Path(folder), warned + ran(toy, Path(folder), STEPS))


@lru_cache(maxsize=2)
def _unwatched(toy: Toy) -> Toy:
    return toy.changed(trackers={})


def switched_off(found: WatchedRun) -> str:
    """The warning that a watcher was switched off, if there is one."""
    return next((warning.partition("\n")[0] for warning in found.warned if "is switched off" in warning), "")


# ---- checks


def hooks_are_known(toy: Toy, name: str) -> None:
    made = tracker_of(toy, name)
    hooks = [each for each in dir(made) if each.startswith("vlobj_")]
    for hook in hooks:
        if hook not in WATCHED:
            raise CheckFailed(f"there is no hook `{hook}` of a run", f"hooks are {', '.join(WATCHED)}")
    demand(bool(hooks), "it has no hook, and watches nothing")
    try:
        Registry().watch(made, name)
    except PluginError as error:
        raise CheckFailed(error.what, "mark hooks with hookimpl; each takes what it wants of its arguments") from error


def given_read_only(toy: Toy, name: str) -> None:
    registry, made = Registry(), tracker_of(toy, name)
    registry.watch(made, name)
    metrics = {"step": 0, "loss": 1.0, "lr": 1e-3, "itc/loss": 1.0, "samples_per_second": 8.0}
    scores = {"retrieval/val/r1": Score(0.5, 0.1, 0.4, 0.6, 64)}
    summary = {"retrieval/val/r1": {"value": 0.5, "chance": 0.1, "low": 0.4, "high": 0.6, "n": 64}}
    before = copy.deepcopy((metrics, scores, summary))
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one that is switched off fails elsewhere
        run = Run(Path(folder), "toy", {"seed": 0}, STEPS)
        registry.call_safely("vlobj_run_started", run=run)
        registry.call_safely("vlobj_step_ended", run=run, step=0, metrics=metrics)
        registry.call_safely("vlobj_evaluated", run=run, step=1, scores=scores)
        registry.call_safely("vlobj_checkpoint_saved", run=run, folder=Path(folder))
        registry.call_safely("vlobj_run_ended", run=run, summary=summary)
    for what, was, now in zip(("metrics", "scores", "summary"), before, (metrics, scores, summary)):
        if where := difference(was, now, what):
            raise CheckFailed(f"a hook writes into what it is given: {where}")


def never_switched_off(toy: Toy, name: str) -> None:
    if warning := switched_off(_run(toy)):
        raise CheckFailed(warning)


def runs_alike(toy: Toy, name: str) -> None:
    wanted, found = _run(_unwatched(toy)), _run(toy)
    for what in ("metrics", "summary", "weights"):
        if where := difference(getattr(wanted, what), getattr(found, what), what):
            raise CheckFailed(f"a run that it watches is another one: {where}")


def goes_on(toy: Toy, name: str) -> None:
    found = _run(toy, True)
    if warning := switched_off(found):
        raise CheckFailed(f"in a run that is resumed: {warning}")
    if where := difference(_run(toy).metrics, found.metrics, "metrics"):
        raise CheckFailed(f"a resumed run that it watches is another one: {where}")


def _check(name: str, description: str, hint: str, test: Callable[[Toy, str], None]) -> Check:
    return Check("trackers", name, description, hint, test)


_CHECKS = [
    _check(
        "hooks_are_known",
        "Its hooks are hooks of a run, marked, and take what a run gives.",
        "mark with hookimpl the hooks that watch; see vlobjectives.contracts.hooks.Hooks.",
        hooks_are_known,
    ),
    _check(
        "given_read_only",
        "Metrics, scores and summary are the run's.",
        "copy what you change: dict(metrics).",
        given_read_only,
    ),
    _check(
        "never_switched_off",
        "No hook raises in a run.",
        "a hook that raises switches the tracker off: expect numbers that are missing, and evaluations on the way.",
        never_switched_off,
    ),
    _check(
        "runs_alike",
        "A run that is watched is the same run.",
        "only watch: change nothing that the run uses, and write beside the run's own files.",
        runs_alike,
    ),
    _check(
        "goes_on",
        "It watches a run that is resumed.",
        "take up in vlobj_run_started what there is already; `run.start` steps lie behind the run.",
        goes_on,
    ),
]
