"""`vlobj schema`: a JSON Schema of recipes, for editors."""

import json

import typer


def schema(context: typer.Context) -> None:
    """Print a JSON Schema that completes recipes in an editor, the installed plug-ins' options included."""
    from vlobjectives.recipe.jsonschema import json_schema
    print(json.dumps(json_schema(context.obj.registry()), indent=1, ensure_ascii=False))
