"""The `vlobj` command: its global options, its verbs, and how it ends.

Nothing heavy is imported here: a verb imports what it needs when it runs, so that `vlobj --help` is quick.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from vlobjectives.cli import caption, check, conform, data, evaluate, new, plan, plugins, recipes, run, schema, sweep
from vlobjectives.cli.brief import leave
from vlobjectives.cli.failures import told
from vlobjectives.cli.options import Options
from vlobjectives.cli.other_commands import USAGE, meant
from vlobjectives.cli.printing import lenient, plain_warnings
from vlobjectives.files import deafened

app = typer.Typer(name="vlobj", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def _version(asked: bool) -> None:
    if asked:
        from vlobjectives import __version__

        print(f"vlobjectives {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    left_out: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            metavar="no:NAME",
            help="Leave a plug-in, or one of its components (no:objective:itc), out. May be repeated.",
        ),
    ] = None,
    no_plugins: Annotated[bool, typer.Option("--no-plugins", help="Leave out all that other packages bring.")] = False,
    strict_plugins: Annotated[
        bool,
        typer.Option(
            "--strict-plugins",
            help="End with an error where a plug-in would be left out or switched off, or what it did put back.",
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of what goes wrong.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Vision-language pre-training objectives: check a recipe, see what it costs, train it, evaluate it."""
    given: Options = context.obj
    given.left_out, given.no_plugins, given.debug = tuple(left_out or ()), no_plugins, debug
    given.strict_plugins = strict_plugins


app.command("run")(run.run)
app.command("sweep")(sweep.sweep)
app.command("check")(check.check)
app.command("data")(data.data)
app.command("plan")(plan.plan)
app.command("eval")(evaluate.evaluate)
app.command("caption")(caption.caption)
app.command("plugins")(plugins.plugins)
app.command("conform")(conform.conform)
app.command("new")(new.new)
app.add_typer(recipes.app, name="recipes")
app.command("schema")(schema.schema)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line and gives its exit code. By default this process's own, which may end in here."""
    lenient()
    plain_warnings()
    options = Options()
    code = _run(arguments, options)
    if arguments is None and options.brief:
        leave(code)
    try:
        sys.stdout.flush()
    except OSError:  # a terminal that was closed: Python would end with 120
        deafened(sys.stdout)
    return code


def _run(arguments: Sequence[str] | None, options: Options) -> int:
    try:
        app(arguments, obj=options)
    except SystemExit as end:  # how typer ends
        if end.code == USAGE and (hint := meant(typer.main.get_command(app), arguments)):
            print(f"    hint: {hint}", file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        return told(error, options.debug)
    return 0
