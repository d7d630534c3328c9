"""`vlobj sweep`: trains the rows of a sweep over its seeds, and compares them."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vlobjectives.cli.options import Trust


def sweep(
    context: typer.Context,
    sweep: Annotated[
        str,
        typer.Argument(
            show_default=False, help="A sweep file, or a shipped sweep's name. Run again, the sweep resumes."
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY.PATH=VALUE]...", show_default=False, help="Changes to the recipe of every row."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check every row and print the runs with their passes and FLOPs; train nothing."
        ),
    ] = False,
    tiny: Annotated[bool, typer.Option("--tiny", help="A trial: every row in its tiny form, two steps a run.")] = False,
    nproc: Annotated[int, typer.Option("--nproc", metavar="N", min=1, help="Processes of each run.")] = 1,
    trust: Trust = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            show_default=False,
            help="The folder of runs and tables; by default that of the file, or runs/NAME.",
        ),
    ] = None,
) -> None:
    """Train a recipe with changes, row by row, over seeds. Every row is checked before the first one trains."""
    from vlobjectives.sweeping.rows import loaded
    from vlobjectives.sweeping.sweep_file import read_sweep

    file = read_sweep(sweep)
    rows = loaded(file, overrides or ())  # before torch is imported: what is wrong with keys is said at once
    from vlobjectives.runtime.log import Log
    from vlobjectives.sweeping import sweep as whole

    whole.check_metrics(file, rows)
    place = out.expanduser().resolve() if out else file.out
    order = whole.SweepOrder(
        file, rows, place.with_name(f"{place.name}-tiny") if tiny and not out else place, tiny, nproc, context.obj.words
    )
    raise typer.Exit(whole.sweep(order, partial(context.obj.registry, trust), Log(), dry_run))
