"""What the options before the verb say, and the registry that follows from them."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from vlobjectives.errors import PluginWarning, RecipeError

if TYPE_CHECKING:
    from vlobjectives.registry import Registry


Trust = Annotated[
    bool,
    typer.Option(
        "--trust",
        help="Run the plug-in files that a run folder names, and record that "
        "they are trusted; those of your own runs are.",
    ),
]


@dataclass
class Options:
    """Options that hold for every verb; `vlobj` fills them in before the verb runs."""

    left_out: tuple[str, ...] = ()
    no_plugins: bool = False
    strict_plugins: bool = False
    debug: bool = False
    brief: bool = False
    """Set by a verb that trains nothing; see `brief`."""

    def registry(self, trust: bool = False) -> "Registry":
        """All plug-ins but those that the command line leaves out; `trust` as it has it. Raises RecipeError for a `-p`
        that means nothing."""
        from vlobjectives.registry import Registry

        if self.strict_plugins:
            warnings.simplefilter("error", PluginWarning)
        for word in self.left_out:
            if not word.startswith("no:") or word == "no:":
                raise RecipeError.one(
                    f"-p {word} means nothing",
                    "-p no:NAME leaves a plug-in out; `vlobj plugins` "
                    "lists them, and a recipe takes in a file with `plugins: [./file.py]`",
                )
        return Registry(
            [word.removeprefix("no:") for word in self.left_out], self.no_plugins, trust, self.strict_plugins
        )

    @property
    def words(self) -> list[str]:
        """The same options as they are written before a verb."""
        return [
            *(part for word in self.left_out for part in ("-p", word)),
            *(["--no-plugins"] if self.no_plugins else []),
            *(["--strict-plugins"] if self.strict_plugins else []),
            *(["--debug"] if self.debug else []),
        ]
