"""Files that the library keeps for itself: whole or not at all, never through a link, in the mode that the umask gives,
as JSON that every reader takes; and what it means that one cannot be read. That is never damage."""

import errno
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from vlobjectives.errors import DataError, Place, RecipeError, ResourceError

OURS = (
    ".lock",
    "recipe.yaml",
    "manifest.json",
    "metrics.jsonl",
    "log.txt",
    "summary.json",
    "failed.json",
    "fields",
    "checkpoints",
    "eval",
    "plugins",
    "sweep.json",
    "table.md",
    "table.csv",
    "rows",
    "failed",
)
"""What runs and sweeps keep in their folders; whatever else lies there is somebody's own and not touched."""

GONE = (FileNotFoundError, NotADirectoryError)
"""Errors that say that there is no such file; every other one says that it cannot be had now."""


RIGHTS = {"read": ("r", "read"), "written": ("w", "write"), "entered": ("x", "enter"), "locked": ("w", "write")}


def json_text(data: Any, indent: int | None = 1, escaped: bool = False) -> str:
    """Data as JSON, letters beyond ASCII escaped or not. A number that is not finite is null, since JSON has no other
    word for it."""
    return json.dumps(_finite(data), indent=indent, ensure_ascii=escaped, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, float):
        return data if math.isfinite(data) else None
    if isinstance(data, Mapping):
        return {key: _finite(value) for key, value in data.items()}
    return [_finite(value) for value in data] if isinstance(data, list | tuple) else data


def read(path: Path) -> bytes:
    """What a file holds. Raises FileNotFoundError (NotADirectoryError) where there is none, ResourceError where it
    cannot
    be read."""
    try:
        return path.read_bytes()
    except GONE:
        raise
    except OSError as error:
        raise unreadable(path, error) from error


def read_json(path: Path, hint: str) -> Any:
    """What a JSON file holds; as `read` raises, and DataError with this hint where it is damaged."""
    try:
        return json.loads(read(path))
    except GONE as error:
        raise DataError("there is no such file", hint, Place(str(path))) from error
    except ValueError as error:  # no JSON, no UTF-8
        what = f"the file is damaged: {error}" if path.stat().st_size else "the file is damaged: it is empty"
        raise DataError(what, hint, Place(str(path))) from error


def there(folder: Path) -> list[Path]:
    """What lies in a folder, nothing where there is none. Raises ResourceError where that cannot be told."""
    try:
        return sorted(folder.iterdir())
    except GONE:
        return []
    except OSError as error:
        raise unreadable(folder, error) from error


def is_file(path: Path) -> bool:
    """Whether a file lies there. Raises ResourceError where that cannot be told."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except GONE:
        return False
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            return False
        raise unreadable(path, error) from error


def exists(path: Path) -> bool:
    """Whether something lies there. Raises ResourceError where that cannot be told."""
    try:
        path.lstat()
    except GONE:
        return False
    except OSError as error:
        raise unreadable(path, error) from error
    return True


def write(path: Path, text: str) -> None:
    """A text file, replaced as a whole: after a power cut it is the old one or the new one."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)  # of a process of this number that was killed; and no link is written through
    with aside.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def reserved(folder: Path, name: str, suffix: str) -> Path:
    """A new file of this name in a folder, of nobody else: the name with a number where it is taken."""
    folder.mkdir(exist_ok=True)
    for path in numbered(folder, name, suffix):
        with suppress(FileExistsError):
            path.open("xb").close()
            return path
    raise AssertionError("numbers do not end")


def numbered(folder: Path, name: str, suffix: str = "") -> Iterator[Path]:
    """name, name-2, name-3, ... in a folder."""
    yield folder / f"{name}{suffix}"
    number = 2
    while True:
        yield folder / f"{name}-{number}{suffix}"
        number += 1


def refuse_links(folder: Path) -> None:
    """Raises RecipeError for a link out of the folder of a run or sweep, and for what is neither file nor folder, under
    the names that are OURS and below: whoever made the folder decides what is in it, and not what outside of it is read
    or written over."""
    inside = folder.resolve()
    for name in OURS:
        for path in _below(folder / name):
            kind = path.lstat().st_mode
            if stat.S_ISLNK(kind):
                if not path.resolve().is_relative_to(inside):
                    raise RecipeError.one(
                        f"{path} is a link out of the folder, which is not followed",
                        "put what it names in its place, or take the link away",
                    )
            elif not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
                raise RecipeError.one(f"{path} is neither a file nor a folder", "take it away")


def _below(path: Path) -> Iterator[Path]:
    if not exists(path):
        return
    yield path
    if path.is_dir() and not path.is_symlink():
        for one in there(path):
            yield from _below(one)


def unreadable(path: Path, error: OSError, verb: str = "read") -> ResourceError:
    """What to say of a file that the machine does not give (or take): whose it is, and which right is missing."""
    what = f"{path} cannot be {verb}: {error.strerror or error}"
    if error.errno not in (errno.EACCES, errno.EPERM):
        return ResourceError(
            what, "nothing was changed; the same command goes on when the disk or the network folder is well again"
        )
    place, right = _closed(path, verb)
    try:
        facts = place.stat()
    except OSError:
        return ResourceError(what, "ask its owner for the right; nothing was changed")
    letter, may = RIGHTS[right]
    return ResourceError(
        f"{what}: {place} belongs to {_user(facts.st_uid)}, its mode is "
        f"{stat.S_IMODE(facts.st_mode):04o}, and {_user(os.geteuid())} has no right to {may} it",
        f"its owner gives the right (chmod a+{letter} {place}; with all that a run has: chmod -R a+rX "
        "FOLDER); nothing was changed",
    )


def _closed(path: Path, verb: str) -> tuple[Path, str]:
    """Which file or folder on the way refuses, and what."""
    effective = os.access in os.supports_effective_ids
    for above in reversed(path.parents):
        if not os.access(above, os.X_OK, effective_ids=effective):
            return above, "entered"
    if verb == "written" and not (path.exists() and not os.access(path, os.W_OK, effective_ids=effective)):
        return path.parent, verb
    return path, verb


def _user(number: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(number).pw_name
    except (ImportError, KeyError):
        return f"user {number}"


def deafened(file: IO[str]) -> None:
    """Lets what is still written to a file that nobody reads any more go nowhere, also when the process ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
