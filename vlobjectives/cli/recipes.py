"""`vlobj recipes`: the shipped recipes, and a copy of one to change."""

from typing import Annotated

import typer

from vlobjectives.cli.printing import show_data

app = typer.Typer(invoke_without_command=True)


@app.callback()
def recipes(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the shipped recipes; `vlobj recipes copy NAME` makes one your own."""
    if context.invoked_subcommand:
        return
    from vlobjectives.recipe.recipes import describe, find, names

    found = {name: describe(find(name)) for name in names()}
    if as_json:
        show_data(found)
        return
    wide = max(map(len, found), default=0)
    for name, text in found.items():
        print(f"{name:{wide}}  {text}".rstrip())


@app.command("copy")
def copy(
    name: Annotated[str, typer.Argument(help="A shipped recipe.", show_default=False)],
    target: Annotated[str, typer.Argument(help="A new .yaml file, or a folder.")] = ".",
) -> None:
    """Copy a shipped recipe, to be changed, with the plug-in files that it names."""
    from vlobjectives.recipe.recipes import copy as copied

    print(*copied(name, target), sep="\n")
