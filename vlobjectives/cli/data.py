"""`vlobj data`: what lies in a file, or in the data of a recipe, and the lines that name it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vlobjectives.cli.brief import brief
from vlobjectives.cli.options import Trust
from vlobjectives.cli.printing import show_data

if TYPE_CHECKING:
    from vlobjectives.checking.data_overview import DataOverview
    from vlobjectives.registry import Registry

BATCH = 64
"""`data.batch` of the block for a file that has enough samples."""


def data(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RECIPE",
            show_default=False,
            help="A file that lists data; or a recipe file (.yaml), a shipped recipe's name, a run folder.",
        ),
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY.PATH=VALUE]...",
            show_default=False,
            help="Changes to the recipe; behind a file options of its source: data.keys={image: 2, caption: 1}.",
        ),
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many training samples are shown.")] = 5,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Look at every file; by default at a hundred of each split.")
    ] = False,
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what data is: form, columns, splits, epochs, first samples, problems, and the `data:` block of a recipe.

    Nothing is trained. A file needs no recipe: the installed sources are asked which of them reads it.
    """
    context.with_resource(brief(context.obj))
    registry = context.obj.registry(trust)
    if _is_recipe(what):
        shown, block, run = _of_recipe(what, overrides or [], registry, rows, thorough)
    else:
        shown, block, run = _of_file(what, overrides or [], registry, rows, thorough)
    if as_json:
        show_data({"sources": {one.name: one.as_data() for one in shown}, "run": run, "data": block})
    else:
        from vlobjectives.cli import data_text

        data_text.show(what, shown, block, run)


def _is_recipe(what: str) -> bool:
    """Whether a recipe is meant: a .yaml file, a run folder, or a word that is the name of no file."""
    path = Path(what).expanduser()
    return (
        path.suffix in (".yaml", ".yml")
        or (path / "recipe.yaml").is_file()
        or not (path.exists() or path.suffix or len(path.parts) > 1)
    )


def _of_recipe(
    what: str, overrides: list[str], registry: "Registry", rows: int, thorough: bool
) -> tuple[list["DataOverview"], dict[str, Any], dict[str, Any]]:
    """Every source of a recipe; its `data` with absolute paths; steps and batch of its run."""
    from vlobjectives.checking.data_overview import overview
    from vlobjectives.data.data_module import make_source
    from vlobjectives.data.streams import epochs
    from vlobjectives.errors import RecipeError
    from vlobjectives.plugin_loading.instantiate import BuildError
    from vlobjectives.recipe import load
    from vlobjectives.recipe.dump import as_data
    from vlobjectives.resolved.resolved import resolve

    loaded = load(what, overrides)
    resolved = resolve(loaded, registry, evaluations=False)
    recipe = resolved.recipe
    try:
        sources = {name: make_source(resolved, name) for name in recipe.sources}
    except BuildError as error:
        raise RecipeError([loaded.problem(error.path, error.why, error.hint)]) from error
    steps, batch = recipe.run.steps, recipe.data.batch
    sizes = [source.size("train") for source in sources.values()]
    times = epochs([resolved.weights[name] for name in sources], sizes, steps, batch)
    shown = [
        overview(source, name, recipe.sources[name].type, rows, thorough, recipe.seed, time)
        for (name, source), time in zip(sources.items(), times)
    ]
    return shown, as_data(recipe)["data"], {"steps": steps, "batch": batch}


def _of_file(
    what: str, overrides: list[str], registry: "Registry", rows: int, thorough: bool
) -> tuple[list["DataOverview"], dict[str, Any], dict[str, Any]]:
    """The first source that reads a file, and the block of a recipe that names it."""
    from vlobjectives.checking.data_overview import overview
    from vlobjectives.data.data_module import open_source
    from vlobjectives.data.recognition import recognised

    path, given = Path(what).expanduser().absolute(), _options(what, overrides)
    first = recognised(path, registry, given)
    source = open_source(first.source, first.options)
    size = source.size("train")
    batch = min(BATCH, 1 << max(size.bit_length() - 1, 0))
    return [overview(source, "", first.name, rows, thorough)], {"type": first.name, **first.options, "batch": batch}, {}


def _options(what: str, overrides: list[str]) -> dict[str, Any]:
    """Options of `data` that stand behind a file."""
    from vlobjectives.errors import RecipeError
    from vlobjectives.recipe.overrides import read_change

    given = {}
    for text in overrides:
        name, document = read_change(text)
        section, _, key = name.partition(".")
        if section != "data" or not key or "." in key:
            raise RecipeError.one(
                f"{text} changes a recipe, and {what} is none",
                "behind a file stand options of its source: data.keys='{image: NAME, caption: NAME}'",
            )
        given[key] = document.data
    return given
