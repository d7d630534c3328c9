"""`vlobj plugins`: the components that are installed, and the formula and options of one."""

from typing import Annotated

import typer

from vlobjectives.cli.printing import show_data


def plugins(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="The component to explain: NAME, KIND:NAME or PACKAGE/NAME; a local file, all that it brings.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: every component with its one line, paper and options.")
    ] = False,
) -> None:
    """List all components; with a name: show its formula, paper, options, the host's keys, views and where it lies."""
    from vlobjectives.cli import explain

    registry = context.obj.registry()
    if name is None:
        if as_json:
            show_data(explain.catalogue(registry))
        else:
            explain.table(explain.rows(registry))
        return
    components = explain.find(registry, name)
    if as_json:
        show_data([explain.as_data(*component) for component in components])
        return
    for number, component in enumerate(components):
        print(end="\n\n" if number else "")
        explain.show(*component)
