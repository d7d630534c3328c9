"""`vlobj eval`: the scores of a run's newest checkpoint."""

import sys
from typing import Annotated

import typer

from vlobjectives.cli.options import Trust
from vlobjectives.cli.printing import show_data


def evaluate(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY.PATH=VALUE]...",
            show_default=False,
            help="Changes to `evaluate`, `run.device` and where the data lies.",
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            "--split",
            metavar="NAME",
            show_default=False,
            help="A split of the data; may be repeated. By default the recipe's.",
        ),
    ] = None,
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a run's newest checkpoint, print the scores and write them to its eval/."""
    from vlobjectives.runs import evaluate_run
    from vlobjectives.runtime.log import Log

    log = Log(first=not as_json)
    found = evaluate_run.evaluate(run, tuple(overrides or ()), tuple(split or ()), context.obj.registry(trust), log)
    for line in found.warned:
        print(f"warning: {line}", file=sys.stderr)
    if as_json:
        show_data(found.as_data())
    else:
        log.scores(found.scores, f"{run}, step {found.step}: value [95 % interval]", found.unusable)
        if found.path:
            log.say(f"written to {found.path}")
    found.refuse()
