"""`vlobj plugins`: what is installed, and what one plug-in computes and takes."""

from typing import Annotated

import typer

from vlobjectives.cli.printing import show_data


def plugins(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="A plug-in to explain: NAME, KIND:NAME or PACKAGE/NAME.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print data.")] = False,
) -> None:
    """List all plug-ins; with a name: its formula, paper, options and views."""
    from vlobjectives.cli import explain

    registry = context.obj.registry()
    if name is not None:
        found = explain.find(registry, name)
        if as_json:
            show_data([explain.as_data(*one) for one in found])
        else:
            for number, one in enumerate(found):
                print(end="\n\n" if number else "")
                explain.show(*one)
        return
    rows = explain.rows(registry)
    if as_json:
        show_data(rows)
    else:
        explain.table(rows)
