"""`vlobj plan`: what a recipe's plan runs and what it costs."""

import sys
from dataclasses import replace
from typing import Annotated

import typer

from vlobjectives.cli.brief import brief
from vlobjectives.cli.options import Trust
from vlobjectives.cli.printing import show_data


def plan(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A file that ends in .yaml, a run folder, or a shipped recipe's name.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY.PATH=VALUE]...", help="Values that replace the recipe's.")
    ] = None,
    nproc: Annotated[int, typer.Option("--nproc", min=1, help="Processes that the run will have.")] = 1,
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """Show which passes a recipe runs, which objectives use each, and what they cost.

    Needs no data, weights or network; epochs are said where the data is here. Of a mix there is a plan for each source.
    """
    context.with_resource(brief(context.obj))
    from vlobjectives.checking.references import references
    from vlobjectives.contracts.views import ViewError
    from vlobjectives.costs import table
    from vlobjectives.costs.measure import measure
    from vlobjectives.data.data_module import training_samples
    from vlobjectives.errors import RecipeError
    from vlobjectives.plugin_loading.instantiate import BuildError
    from vlobjectives.recipe import load
    from vlobjectives.recipe.report import Report
    from vlobjectives.resolved.absolute_paths import taken_in
    from vlobjectives.resolved.entries import names
    from vlobjectives.resolved.resolved import Resolved
    from vlobjectives.run_folder import kept_fields
    from vlobjectives.runtime.console import Wide
    from vlobjectives.runtime.distributed import World

    loaded, registry = load(recipe, overrides or ()), context.obj.registry(trust)
    loaded = taken_in(loaded, registry)
    for note in loaded.layered.notes:
        print(note, file=sys.stderr)
    report = Report()
    resolved = Resolved(loaded, registry, names(loaded, registry, report), World(size=nproc))
    report.add("references", references(loaded, resolved.entries, report))
    report.refuse()
    try:
        found = [
            replace(measure(resolved, source, kept_fields(loaded)), samples=training_samples(resolved, source))
            for source in loaded.recipe.sources
        ]
    except BuildError as error:
        raise RecipeError([loaded.problem(error.path, error.why, error.hint)]) from error
    except ViewError as error:
        raise RecipeError([loaded.problem(("objectives",), str(error), "`vlobj check` says where")]) from error
    if as_json:
        shown = [table.data(one) for one in found]
        show_data(shown[0] if len(shown) == 1 else shown)
    else:
        wide = Wide()
        for one in found:
            wide.print(table.renderable(one))
