"""What is made once of a user's files and read by every process after that lies in a cache folder.

`VLOBJ_CACHE` names the folder; by default it is `vlobjectives` in `XDG_CACHE_HOME` (`~/.cache`). Whatever lies there
can be made again, so it may be deleted whenever no run reads it.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from vlobjectives.errors import Place, ResourceError

FOLDER = "VLOBJ_CACHE"
ENDS = 2**16
"""Bytes at each end of a file that its identity depends on."""
LARGE = 2**24
"""Bytes of a file from which on what is said of it is kept: what is smaller is read in no time."""


def folder() -> Path:
    """The cache folder, which need not exist yet."""
    if named := os.environ.get(FOLDER, ""):
        return Path(named).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "vlobjectives"


def identity(path: Path) -> str:
    """32 hexadecimal digits that change with the file: SHA-256 of its size, the time of its last change in nanoseconds,
    and its first and last 64 KiB, since whole shards would take minutes to hash. Where it lies does not count.

    Raises OSError.
    """
    with path.open("rb") as file:
        about = os.fstat(file.fileno())
        hashed = hashlib.sha256(f"{about.st_size} {about.st_mtime_ns} ".encode())
        hashed.update(file.read(ENDS))
        if about.st_size > ENDS:
            file.seek(max(about.st_size - ENDS, ENDS))
            hashed.update(file.read(ENDS))
    return hashed.hexdigest()[:32]


def made_once(path: Path, make: Callable[[Path], None]) -> Path:
    """A file that `make` writes where it is not there yet, by one process at a time.

    Args:
        path: in the cache folder; what the file depends on is part of its name, as by `identity`.
        make: writes the file under the name that it is given. What it leaves when it fails is removed.

    Returns:
        The path, with a whole file.

    Raises:
        ResourceError: The folder cannot be written, or has no room. What `make` raises beside OSError passes.
    """
    if path.is_file():
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f"{path.name}.lock").open("wb") as lock:
            with suppress(OSError):  # a file system without locks: the work is done twice, and the last one stays
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.is_file():
                _make(path, make)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def remembered(kind: str, path: Path, compute: Callable[[], str]) -> str:
    """What `compute` says of a file, kept where the file is large: what is costly and hangs on its bytes alone.

    Where the cache folder cannot be written it is computed each time.
    """
    if path.stat().st_size < LARGE:
        return compute()
    kept = folder() / kind / f"{identity(path)}.txt"
    said: list[str] = []

    def make(part: Path) -> None:
        said.append(compute())
        part.write_text(said[0], encoding="utf-8")

    try:
        return made_once(kept, make).read_text(encoding="utf-8")
    except ResourceError:
        return said[0] if said else compute()


def _make(path: Path, make: Callable[[Path], None]) -> None:
    for left in path.parent.glob(f"{path.name}.*.part"):  # by a process that was killed
        left.unlink(missing_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        make(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> ResourceError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    why = "has no room left" if full else f"cannot be written: {error.strerror or error}"
    return ResourceError(
        f"the cache folder {why}",
        f"set the environment variable {FOLDER} to a folder with room",
        Place(str(path.parent)),
    )
