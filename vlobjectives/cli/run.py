"""`vlobj run`: trains a recipe, or goes on with a run."""

from pathlib import Path
from typing import Annotated

import typer

from vlobjectives.cli.options import Trust


def run(
    context: typer.Context,
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE_OR_RUN",
            show_default=False,
            help="A recipe file, a shipped recipe's name, or a run folder, which is resumed.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY.PATH=VALUE]...", show_default=False, help="Changes to the recipe, such as optim.lr=1e-4."
        ),
    ] = None,
    tiny: Annotated[
        bool,
        typer.Option(
            "--tiny", help="A trial in seconds: every part small, embedded scenes for data, no weights, two steps."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", show_default=False, help="The run folder; by default a new one under run.folder."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --out: resume the run that is there, or start one.")
    ] = False,
    nproc: Annotated[int, typer.Option("--nproc", metavar="N", min=1, help="Processes on this machine.")] = 1,
    trust: Trust = False,
    accept_changes: Annotated[
        bool,
        typer.Option("--accept-changes", help="Resume a run although the recipe, the data or a plug-in has changed."),
    ] = False,
) -> None:
    """Train a recipe. All checks run first."""
    from vlobjectives.errors import RecipeError
    from vlobjectives.recipe import load

    loaded = load(recipe, overrides or ())  # before torch is imported: what is wrong with keys is said at once
    from vlobjectives.plugin_loading.instantiate import BuildError
    from vlobjectives.runs import start, train_run
    from vlobjectives.runtime import distributed
    from vlobjectives.runtime.launch import launch, launcher
    from vlobjectives.runtime.log import Log
    from vlobjectives.runtime.resources import die_with_parent

    parent = launcher()
    if parent is not None:
        die_with_parent(parent)
    world, registry = distributed.world(), context.obj.registry(trust)
    log = Log(first=world.first)
    ready = start.ready(
        start.RunOrder(recipe, loaded, tiny, out, resume),
        registry,
        max(nproc, world.size),
        parent is not None,
        log.say,
    )
    try:
        if nproc > 1:
            switches = {"--tiny": tiny, "--resume": resume, "--accept-changes": accept_changes, "--trust": trust}
            words = [*context.obj.words, "run", recipe, *(overrides or ()), "--out", str(ready.place)]
            raise typer.Exit(launch(nproc, words + [name for name, on in switches.items() if on]))
        train_run.run(ready.resolved, ready.place, log, ready.going_on, accept_changes)
    except BuildError as error:
        raise RecipeError([ready.resolved.loaded.problem(error.path, error.why, error.hint)]) from error
    finally:
        ready.leave()
