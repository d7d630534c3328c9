"""Which file a manifest may name: one inside the folder of pictures."""

import os
import re
from pathlib import Path

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|data:")


class PathError(ValueError):
    """A name that is not followed; the message says why."""


def inside(root: str, name: str, key: str = "data.images") -> Path:
    """The file that `name` means under `root` (a real path: no symbolic link in it). Opens and fetches nothing.

    key  of the recipe that says where the root is, for messages

    Raises PathError for URLs, absolute paths, `..` and links that lead out of the root.
    """
    if URL.match(name):
        raise PathError("is a URL; nothing is fetched from the network: download it and name the file")
    if "\0" in name:
        raise PathError("holds a NUL character")
    if os.path.isabs(name) or ".." in Path(name).parts:
        raise PathError(f"is absolute or holds '..': name it relative to the folder of {key}")
    path = os.path.realpath(os.path.join(root, name))
    if os.path.commonpath([root, path]) != root:
        raise PathError(f"is a link that leads out of the folder of {key}")
    return Path(path)
