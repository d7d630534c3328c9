"""Which of the installed sources read a file, and with which options."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vlobjectives.contracts.source import Source
from vlobjectives.errors import DataError, Place, RecipeError, VlobjError
from vlobjectives.plugin_loading.attribution import blamed, work_of
from vlobjectives.plugin_loading.attribution import given as given_by
from vlobjectives.plugin_loading.side_effects import contained
from vlobjectives.registry import Registry


@dataclass(frozen=True)
class Recognised:
    """A source that reads a file.

    Attributes:
        name: What a recipe calls the source.
        source: Its class.
        options: The keys under `data` with which it does.
    """

    name: str
    source: type[Source]
    options: Mapping[str, Any]


def recognised(path: Path, registry: Registry, given: Mapping[str, Any]) -> Recognised:
    """Ask the installed sources, by name, which of them reads a file; the first that does is taken.

    Args:
        path: An absolute path.
        registry: Where sources are looked for.
        given: Options of `data` that are written already; with `type` that source alone is asked.

    Raises:
        DataError: No source does; what the first that knows such files says of it.
        RecipeError: No source takes the options.
        PluginError: No source does, and one of them fails, or there is none of this type.
    """
    options = {key: value for key, value in given.items() if key != "type"}
    refused: list[VlobjError] = []
    for name in [given["type"]] if "type" in given else registry.names("source"):
        try:
            source = registry.get("source", name)
            with work_of(("data",), "recognising a file", source), contained(f"source {name}"):
                more = given_by(source.recognised(path, options), Mapping | None, source.recognised)
        except ValidationError as error:
            refused += [_refused(name, source, one) for one in error.errors(include_url=False)]
            continue
        except Exception as error:  # one source keeps no other from reading it
            told = blamed(error)
            if told is None:
                raise
            refused.append(told)
            continue
        if more is not None:
            return Recognised(name, source, {**more, **options})
    raise next(
        (error for kind in (DataError, RecipeError, VlobjError) for error in refused if isinstance(error, kind)),
        DataError(
            "no installed source reads this",
            "`vlobj plugins` lists the sources, `vlobj plugins NAME` what one reads",
            Place(str(path)),
        ),
    )


def _refused(name: str, source: type[Source], error: Any) -> RecipeError:
    """What a source's Config says of an option that was given."""
    key, hint = ".".join(("data", *map(str, error["loc"]))), f"`vlobj plugins {name}` explains the options"
    if error["type"] == "extra_forbidden":
        near = get_close_matches(str(error["loc"][-1]), list(source.Config.model_fields), 1)
        what = f"the source '{name}' has no option '{error['loc'][-1]}'"
        return RecipeError.one(what, f"did you mean '{near[0]}'?" if near else hint, path=key)
    return RecipeError.one(error["msg"].removeprefix("Value error, "), hint, path=key)
