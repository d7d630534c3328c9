"""How a command ends that could not be done: what is wrong, where, a hint, and an exit code."""

import sys
import traceback

from vlobjectives.files import deafened
from vlobjectives.plugin_loading.attribution import blamed


def told(error: BaseException, debug: bool) -> int:
    """Says on stderr what happened, with the traceback if asked; gives the exit code."""
    meant, text = blamed(error), " ".join(str(error).split())
    try:
        if debug:
            traceback.print_exception(error)
        print(
            meant
            or f"a bug of vlobjectives, or of a plug-in: {type(error).__name__}{f': {text}' if text else ''}\n"
            f"    hint: `{_again()}` shows where; please report it",
            file=sys.stderr,
            flush=True,
        )
    except OSError:  # a terminal that was closed: the code still says how it ended
        deafened(sys.stderr)
    return meant.code if meant else 1


def _again() -> str:
    """The same command with its traceback."""
    return " ".join(["vlobj --debug", *(word for word in sys.argv[1:] if word != "--debug")])
