"""What makes a verb quick that only looks: nothing is collected while it runs, nothing is taken down after it."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from vlobjectives.cli.options import Options


@contextmanager
def brief(options: Options) -> Iterator[None]:
    """For a verb that trains nothing: the imports of torch and its like alone set off a second of collections.

    The process may then leave as `leave` does.
    """
    was = gc.isenabled()
    gc.disable()
    options.brief = True
    try:
        yield
    finally:
        if was:
            gc.enable()


def leave(code: int) -> NoReturn:
    """Ends the process without taking its modules down one by one, which takes a second or two with torch among them.

    What is registered with atexit runs, and output is flushed.
    """
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:  # a reader that had seen enough (`| head`)
        pass
    os._exit(code)
