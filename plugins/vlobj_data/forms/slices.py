"""Files that lie within others."""

import os
import resource
from contextlib import suppress
from functools import lru_cache

from vlobj_data.forms.asked import Slice
from vlobjectives.pictures import PictureError

OPEN = max(64, min(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))
"""Containers that a process keeps open: half of the files that it may (`ulimit -n`)."""


def bytes_of(lies: Slice) -> bytes:
    """The bytes of a slice, which are all that is read. Raises PictureError where its container has them no more."""
    try:
        about = os.stat(lies.container)
        container = _container(lies.container, about.st_ino, about.st_size, about.st_mtime_ns)
        found = os.pread(container.number, lies.size, lies.offset)
    except OSError as error:
        raise PictureError(f"cannot be read from {lies.container}: {error.strerror}") from error
    if len(found) < lies.size:
        raise PictureError(f"is cut off: {lies.container} ends within it, at byte {lies.offset + len(found)}")
    return found


class _Container:
    """An open file, which is closed when nobody holds it. It has no position, so that forked processes share it."""

    def __init__(self, path: str, *_: int):
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        with suppress(OSError):  # samples are read in any order: what lies behind one is not wanted next
            os.posix_fadvise(self.number, 0, 0, os.POSIX_FADV_RANDOM)

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


_container = lru_cache(maxsize=OPEN)(_Container)
"""By path, and what changes when another file is put in its place, which then is opened anew."""
