"""What is printed wherever it is printed: on a terminal that lacks a letter, into a pipe of another encoding."""

import codecs
import sys
from typing import Any

from vlobjectives.files import json_text


def lenient() -> None:
    """From here on a letter that stdout or stderr cannot write becomes a question mark, where it would end the verb."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # what tests and notebooks put in its place takes all letters
            stream.reconfigure(errors="replace")


def show_data(value: Any) -> None:
    """Prints JSON, with letters as they are where all of them can be written, else escaped: nothing in it is lost."""
    print(json_text(value, escaped=codecs.lookup(sys.stdout.encoding or "ascii").name != "utf-8"))
