"""A run from its recipe to its last score: prepared, begun or resumed, trained, evaluated, ended."""

import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vlobjectives import run_folder, run_manifest
from vlobjectives.data.bad_samples import BadSamples
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.data.fit_readers import learned
from vlobjectives.data.loader import layout_of
from vlobjectives.errors import DataError
from vlobjectives.evaluation.failures import Failed
from vlobjectives.recipe import dump
from vlobjectives.recipe.model import Recipe
from vlobjectives.resolved.absolute_paths import data_paths
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.run_folder import RunFolder
from vlobjectives.runs import plugin_copies, resume, termination
from vlobjectives.runs.session import Session
from vlobjectives.runtime import distributed
from vlobjectives.runtime.log import Log
from vlobjectives.runtime.signals import Signals, StopRequest
from vlobjectives.system import assemble, checkpoint, warm_start
from vlobjectives.training import schedule
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.trainer import Trainer


def prepare(
    resolved: Resolved,
    place: RunFolder,
    log: Log,
    signals: Signals,
    made: DataModule,
    origin: warm_start.Origin | None = None,
    begins: bool = True,
) -> Session:
    """Everything that a run needs, from a recipe that was checked; the folder has what readers learned.

    origin  the run whose weights it begins with
    begins  False: a checkpoint brings all weights, so that none is read that parts once started from
    """
    recipe, device, world = resolved.recipe, resolved.device, resolved.world
    made.fields.load(place.fields)
    system = assemble.system(resolved, made)
    for line in assemble.load_weights(system) if begins else ():
        log.say(line)
    for line in warm_start.begin(system, origin, resolved.loaded) if origin else ():
        log.say(line)
    system.to(device)
    system.autocast = resolved.autocast
    if recipe.run.compile == "parts":
        for part in system.model.values():
            part.compile()
    log.say(
        f"device {device}, {world.size} process{'es' * (world.size > 1)}, precision {resolved.precision} "
        f"({resolved.precision_reason}); {assemble.trainable(system):,} parameters"
    )
    trainer = Trainer(
        system,
        Optimizer(system, recipe.optim, recipe.run.steps),
        made,
        layout_of(resolved),
        device,
        torch.amp.GradScaler(device.type) if resolved.precision == "fp16" else None,
        schedule.every(recipe.run.log.conflict, recipe.run.steps),
    )
    return Session(
        resolved,
        place,
        made,
        trainer,
        log,
        BadSamples(recipe.data.max_bad, made.size("train"), log),
        signals,
    )


def _origin(resolved: Resolved) -> warm_start.Origin | None:
    """The run that this one begins from, the same checkpoint of it for all processes."""
    found: list[warm_start.Origin | None] = []
    distributed.first_does(resolved.world, lambda: found.append(warm_start.origin(resolved)))
    return distributed.from_first(found[0] if found else None)


def run(resolved: Resolved, place: Path, log: Log, going_on: bool, accept_changes: bool = False) -> Mapping[str, Any]:
    """Trains a recipe in a run folder, or goes on with the run that is there; gives summary.json's content.

    going_on        `place` holds a run; its newest whole checkpoint is gone on from
    accept_changes  goes on although the recipe, the data or a plug-in is not what it was
    Raises VlobjError of the family that design says: among them RecipeError for a folder that is there or in use, or
    for changes; NonFiniteError, which leaves the last checkpoint; Stopped and Interrupted after saving.
    """
    at = termination.Where(place, replace(resolved, world=distributed.world()))
    with Signals() as signals, ExitStack() as held:
        try:
            return _run(log, signals, held, at, going_on, accept_changes)
        except (StopRequest, KeyboardInterrupt, Exception) as error:
            signals.leave_children()
            told = termination.explained(error, at, signals.seen)
            with suppress(OSError):  # the disk may be what is full
                log.only_file("\n".join([f"ended: {told}", *getattr(told, "__notes__", ())]))
            if isinstance(error, StopRequest):  # all stop together; groups that outlive Python may abort its end
                distributed.leave()
            if told is error:
                raise
            raise told from error


def _run(
    log: Log,
    signals: Signals,
    held: ExitStack,
    at: termination.Where,
    going_on: bool,
    accept_changes: bool,
) -> Mapping[str, Any]:
    begun = time.monotonic()
    before = _take_folder(log, held, at, going_on)
    session, origin = _begin_or_resume(log, signals, at, before, accept_changes)
    session.watched()
    if origin:
        session.save()  # from now on the run does not need the one that it began from
    session.train()
    trained = time.monotonic() - begun
    scored = session.evaluate()
    summary = scored.summary()
    if session.world.first:
        session.place.write("summary.json", summary)
        session.place.mark(run_folder.FAILED, scored.reasons)
        title = f"{session.recipe.run.name or 'run'}, step {session.done}: value [95 % interval]"
        log.scores(scored.scores, title, scored.unusable)
        log.say(f"training {trained:.0f} s, everything {time.monotonic() - begun:.0f} s; {at.path}")
        session.tell("vlobj_run_ended", summary=summary)
    distributed.leave()
    if session.failed:
        raise Failed(session.failed)
    return summary


def _take_folder(log: Log, held: ExitStack, at: termination.Where, going_on: bool) -> Recipe | None:
    """Joins the processes, and makes or takes the run's folder, which `held` keeps locked; `at` says then what it is.

    Returns:
        The recipe of the run that is gone on with, None of one that begins.
    """
    world = at.resolved.world
    if not world.first:
        log.first, log.console.quiet = False, True
    distributed.join(at.resolved.device)
    if going_on and RunFolder(at.path).has(".lock") and not RunFolder(at.path).begun:
        going_on = False  # it never began: there is nothing that a change of the recipe would contradict
    place, going_on = distributed.from_first((str(at.path), going_on))
    at.path = Path(place)
    folder = RunFolder(at.path)
    before = resume.as_noted(folder, log.say) if going_on else None
    resolved = at.resolved = at.resolved.changed(resume.settled(at.resolved.loaded, world.size, before))
    layout_of(resolved)

    def take() -> None:
        if before is None:
            RunFolder.create(
                at.path,
                dump(plugin_copies.naming_copies(resolved.recipe)),
                lambda aside: plugin_copies.keep(aside, resolved.recipe, resolved.registry),
            )
        held.enter_context(folder.lock())

    distributed.first_does(world, take)
    log.path = at.path / "log.txt"
    return before


def _begin_or_resume(
    log: Log, signals: Signals, at: termination.Where, before: Recipe | None, accept_changes: bool
) -> tuple[Session, warm_start.Origin | None]:
    """A session ready to train, and the run whose weights it begins with."""
    resolved, folder = at.resolved, RunFolder(at.path)
    loaded, recipe, registry, world = resolved.loaded, resolved.recipe, resolved.registry, resolved.world
    made = build_data(resolved, kept=folder.fields)
    found, broken = checkpoint.newest(folder.checkpoints)
    if found is None and (gone := [*broken, *checkpoint.buried(folder.checkpoints)]):
        raise DataError(
            f"no checkpoint of {at.path} is whole: {'; '.join(gone)}",
            "put one back from a copy; to begin "
            f"anew, name another folder with --out, or take {folder.checkpoints} away",
        )
    origin = _origin(resolved) if found is None else None
    distributed.first_does(
        world, lambda: learned(made, recipe.seed, folder, log, origin.learned(recipe) if origin else {})
    )
    manifest = _manifest(resolved, made, folder, origin) if world.first else {}
    if before is not None:
        lies = data_paths(before, registry) | data_paths(recipe, registry)
        step = found.step if found else 0
        distributed.first_does(
            world,
            lambda: resume.refuse(loaded, before, manifest, folder.manifest(), step, accept_changes, lies),
        )
    session = prepare(resolved, folder, log, signals, made, origin, found is None)
    at.session = session
    if before is not None:
        for line in broken:
            log.say(line)
        session.restore(found)
        log.say(f"going on after step {session.done}" if found else "there is no whole checkpoint: from the beginning")
    if world.first:
        start = {
            "time": run_manifest.now(),
            "after_step": session.done,
            "device": str(resolved.device),
            "precision": session.precision,
            "processes": world.size,
        }
        for line in resume.note(folder, loaded, before or recipe, manifest, start, registry):
            log.say(f"changed: {line}")
    return session, origin


def _manifest(
    resolved: Resolved, made: DataModule, folder: RunFolder, origin: warm_start.Origin | None
) -> dict[str, Any]:
    """The manifest of the run as it is now; written where there is none."""
    recipe, registry = resolved.recipe, resolved.registry
    manifest = run_manifest.manifest(
        recipe,
        run_manifest.used_plugins(recipe, registry),
        made.digest(),
        run_manifest.learned(folder.fields),
        plugin_copies.digests(recipe, registry),
    )
    if origin:
        manifest["init"] = origin.facts
    if not folder.has("manifest.json"):
        folder.write("manifest.json", manifest)
    return manifest
