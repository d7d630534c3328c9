"""Which plug-in files this user trusts: a record of his own, by what a file holds and not by where it lies.

A run folder names plug-in files, and may come from somebody else. They are run where the user asks for it (`--trust`),
or where each of them stands in the record: files of runs that he made, and those that he once trusted.
"""

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

from vlobjectives.errors import PluginError


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def folder() -> Path:
    """Where the record lies: an empty file for each content, named by its hash, so that two processes never meet."""
    given = os.environ.get("XDG_STATE_HOME", "")
    state = Path(given) if os.path.isabs(given) else Path.home() / ".local" / "state"
    return state / "vlobjectives" / "trusted"


def trusted(content: bytes) -> bool:
    """Whether this user's own record has a file of this content."""
    try:
        return (folder() / digest(content)).lstat().st_uid == os.geteuid()
    except (OSError, RuntimeError):  # no such record, or no home
        return False


def record(contents: Iterable[bytes]) -> bool:
    """Trusts files of these contents from now on; whether that could be written down, which is said where not."""
    try:
        place = folder()
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        for content in contents:
            if not trusted(content):
                os.close(os.open(place / digest(content), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except (OSError, RuntimeError) as error:  # no right, no room, or no home
        warnings.warn(
            f"plug-in files could not be put on record as trusted ({error}): the next command asks again; "
            "XDG_STATE_HOME may name a folder that can be written",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True


def see(path: Path, sources: Mapping[str, bytes], asked: bool) -> None:
    """Raises PluginError for a plug-in file, or a helper of it, that a run folder names and that is not trusted; where
    the user `asked` for it they are trusted from now on."""
    unknown = [name for name, content in sources.items() if not trusted(content)]
    if unknown and not asked:
        helpers = "" if unknown == [path.name] else f" (with {', '.join(unknown)})"
        raise PluginError(
            f"the run folder names the plug-in file {path}{helpers}: code that is not known to be yours, "
            "and was not run",
            "read it; if you trust it, add --trust (in Python trust=True), once: then it is on record",
        )
    if unknown:
        record(sources.values())
