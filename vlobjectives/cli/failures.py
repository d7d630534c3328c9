"""How a command ends that could not be done: what is wrong, where, how to mend it, and an exit code."""

import sys
import traceback

from vlobjectives.errors import VlobjError


def told(error: BaseException, debug: bool) -> int:
    """Says on stderr what happened, with the traceback if asked; gives the exit code."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, VlobjError):
        print(error, file=sys.stderr)
        return error.code
    text = " ".join(str(error).split())
    print(f"a bug of vlobjectives, or of a plug-in: {type(error).__name__}{f': {text}' if text else ''}\n"
          f"    mend: `{_again()}` shows where; please report it", file=sys.stderr)
    return 1


def _again() -> str:
    """The same command with its traceback."""
    return " ".join(["vlobj --debug", *(word for word in sys.argv[1:] if word != "--debug")])
