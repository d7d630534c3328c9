"""The `vlobj` command."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="Vision-language pre-training objectives: train, check, plan, evaluate.")


@app.callback()
def options() -> None:
    """Vision-language pre-training objectives: train, check, plan, evaluate."""


@app.command()
def run(recipe: str, overrides: list[str] = typer.Argument(None), out: str = typer.Option(None)) -> None:
    """Trains a recipe."""
    import time
    from pathlib import Path

    from vlobjectives.recipe import load
    from vlobjectives.registry import Registry
    from vlobjectives.running import session
    from vlobjectives.running.log import Log
    loaded = load(recipe, overrides or ())
    name = f"{loaded.recipe.run.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    place = Path(out).resolve() if out else Path(loaded.recipe.run.folder) / name
    going_on = (place / "recipe.yaml").exists()
    session.run(loaded, Registry(), place, Log(), going_on)


def main() -> None:
    app()
