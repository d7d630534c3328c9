"""`vlobj eval`: the scores of a run's newest checkpoint."""

from typing import Annotated

import typer

from vlobjectives.cli.printing import show_data


def evaluate(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY.PATH=VALUE]...", show_default=False,
                                                          help="Changes to `evaluate` and `run.device`.")] = None,
    split: Annotated[list[str] | None, typer.Option("--split", metavar="NAME", show_default=False, help="A split of "
                                                    "the data; may be repeated. By default the recipe's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print data.")] = False,
) -> None:
    """Evaluate a run's newest checkpoint, print the scores and write them to its eval/."""
    from vlobjectives.running import rescoring
    from vlobjectives.running.folder import scores_as_data
    from vlobjectives.running.log import Log
    log = Log(first=not as_json)
    scores, step, place = rescoring.evaluate(run, tuple(overrides or ()), tuple(split or ()), context.obj.registry(),
                                             log)
    if as_json:
        show_data(scores_as_data(scores))
        return
    log.scores(scores, f"{run}, step {step}: value [95 % interval]")
    log.say(f"written to {place}")
