"""`vlobj schema`: a JSON Schema of recipes, for editors."""

import typer

from vlobjectives.cli.printing import show_data


def schema(context: typer.Context) -> None:
    """Print a JSON Schema that completes recipes in an editor, the installed plug-ins' options included."""
    from vlobjectives.recipe.jsonschema import json_schema

    show_data(json_schema(context.obj.registry()))
