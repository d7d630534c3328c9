"""`vlobj check`: every problem of a recipe before anything runs."""

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from vlobjectives.cli.brief import brief
from vlobjectives.cli.options import Trust
from vlobjectives.cli.printing import show_data

if TYPE_CHECKING:
    from vlobjectives.recipe.report import Report


def check(
    context: typer.Context,
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE", show_default=False, help="A recipe file, a shipped recipe's name, or a run folder."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY.PATH=VALUE]...", show_default=False, help="Changes to the recipe."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Notes are errors.")] = False,
    data: Annotated[bool, typer.Option("--data", help="Read every record and the header of every file.")] = False,
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a recipe without training: names, references, data, what parts can do, shapes, sanity and resources."""
    context.with_resource(brief(context.obj))
    from vlobjectives.recipe import load

    begun = time.monotonic()
    loaded = load(recipe, overrides or (), check=True)
    from vlobjectives.checking import check as check_all

    resolved, report = check_all(loaded, context.obj.registry(trust), thorough=data)
    report = report.strict() if strict else report
    if as_json:
        show_data(report.as_data())
    else:
        show(report)
        print(f"{resolved.recipe.run.name or loaded.path.stem}: {report.summary}, {time.monotonic() - begun:.1f} s")
    raise typer.Exit(report.code)


def show(report: "Report") -> None:
    """Errors on stderr, notes on stdout, and which stages were skipped."""
    for problem in report.notes:
        print(problem)
    for problem in report.errors:
        print(problem, file=sys.stderr)
    for because in dict.fromkeys(report.skipped.values()):
        stages = [stage for stage, broken in report.skipped.items() if broken == because]
        print(f"not checked yet, because of the problems with {because}: {', '.join(stages)}", file=sys.stderr)
    if report.left and not report.skipped:
        print(f"not checked to the end, since they need what is wrong: {', '.join(report.left)}", file=sys.stderr)
