"""What is printed wherever it is printed: on a terminal that lacks a letter, into a pipe of another encoding."""

import codecs
import sys
import warnings
from typing import Any

from vlobjectives.errors import PluginWarning
from vlobjectives.files import json_text


def lenient() -> None:
    """From here on a letter that stdout or stderr cannot write becomes a question mark, where it would end the verb."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what tests and notebooks put in its place takes all letters
            stream.reconfigure(errors="replace")


def plain_warnings() -> None:
    """From here on what a plug-in did is warned of in words, without the line of ours that noticed it."""
    python = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], *place: Any, **line: Any) -> str:
        if issubclass(category, PluginWarning):
            return f"warning: {message}\n"
        return python(message, category, *place, **line)

    warnings.formatwarning = formatted


def show_data(value: Any) -> None:
    """Prints JSON, with letters as they are where all of them can be written, else escaped: nothing in it is lost."""
    print(json_text(value, escaped=codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"))
