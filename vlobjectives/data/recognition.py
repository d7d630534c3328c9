"""Which of the installed sources read a file, and with which options."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlobjectives.contracts.source import Source
from vlobjectives.errors import DataError, Place, VlobjError
from vlobjectives.plugin_loading.attribution import blamed, given, work_of
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


def recognised(path: Path, registry: Registry) -> list[Recognised]:
    """Ask every installed source whether it reads a file.

    Args:
        path: An absolute path.
        registry: Where sources are looked for.

    Returns:
        Those that do, at least one.

    Raises:
        DataError: No source does; what the first that knows such files says of it.
        PluginError: No source does, and one of them fails.
    """
    found: list[Recognised] = []
    refused: list[VlobjError] = []
    for name in registry.names("source"):
        try:
            source = registry.get("source", name)
            with work_of(("data",), "recognising a file", source), contained(f"source {name}"):
                options = given(source.recognised(path), Mapping | None, source.recognised)
        except Exception as error:  # one source keeps no other from reading it
            told = blamed(error)
            if told is None:
                raise
            refused.append(told)
            continue
        if options is not None:
            found.append(Recognised(name, source, dict(options)))
    if not found:
        raise next(
            (error for kind in (DataError, VlobjError) for error in refused if isinstance(error, kind)),
            DataError(
                "no installed source reads this",
                "`vlobj plugins` lists the sources, `vlobj plugins NAME` what one reads",
                Place(str(path)),
            ),
        )
    return found
