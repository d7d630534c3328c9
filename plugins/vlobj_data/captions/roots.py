"""Which file a manifest may name: one below the folders that the recipe names."""

import json
import os
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from vlobjectives.errors import DataError, Place

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|data:")


class PathError(ValueError):
    """A name that is not followed; the message says why, `hint` what to write."""

    def __init__(self, why: str, hint: str = ""):
        super().__init__(why)
        self.hint = hint


class Roots:
    """The folders below which a manifest's files lie. A name counts from the first that has it.

    key     of the recipe that names them; what  they hold, in words
    links   symbolic links are followed wherever they lead
    """

    def __init__(self, folders: Sequence[str], key: str, what: str, links: bool):
        """Raises DataError for one that is no folder."""
        self.named, self.key, self.links = tuple(folders), key, links
        self.what = f"{what} ({key})"
        for folder in folders:
            if not os.path.isdir(folder):
                raise DataError(*_no_folder(folder, key, what), Place(folder))
        self.lexical = [os.path.abspath(folder) for folder in folders]
        self.real = [os.path.realpath(folder) for folder in folders]

    def __call__(self, name: str) -> Path:
        """The file that `name` means: a real path, but with `links`. Opens and fetches nothing.

        Raises PathError for URLs and for what ends outside the folders.
        """
        if URL.match(name):
            raise PathError(
                "is a URL; nothing is fetched from the network: download it and name the file",
                "write the downloaded file's name into the manifest",
            )
        if "\0" in name:
            raise PathError("holds a NUL character")
        name = os.fsdecode(name.encode("utf-8", "surrogatepass"))  # names of files are UTF-8, whatever the locale
        tried = [os.path.join(root, name) for root in self.lexical]
        first = next((path for path in tried if os.path.exists(path)), tried[0])
        there, real = os.path.normpath(first), os.path.realpath(first)
        if self._below(real):
            if os.path.isdir(real) and not self.links:
                self._refuse_links(real)
            return Path(real)
        if any(_below(root, there) for root in (*self.lexical, *self.real)):
            if self.links:
                return Path(there)
            raise PathError(
                f"is a link that leads out of the folder of {self.what}, to {os.path.dirname(real)}", self._allow(real)
            )
        how = "is absolute" if os.path.isabs(name) else "holds '..'"
        also = f"or, if that folder is meant: {self.line(os.path.dirname(real))}" if os.path.isfile(real) else ""
        raise PathError(f"{how} and leads out of the folder of {self.what}: name it relative to the folder", also)

    def _refuse_links(self, folder: str) -> None:
        """Raises PathError for a folder (of frames) in which a link leads out of the roots."""
        for one in within(folder):
            if one.is_symlink() and not self._below(one.path):
                raise PathError(
                    f"holds the link {one.name}, which leads out of the folder of {self.what}",
                    self._allow(os.path.realpath(one.path)),
                )

    def _allow(self, real: str) -> str:
        folders = self.line(os.path.dirname(real))
        return f"name that folder too: {folders}; or, if links may lead anywhere, data.links: true"

    def line(self, more: str) -> str:
        """The option with a folder more."""
        names = [
            one if re.fullmatch(r"[\w./~-]+", one) else json.dumps(one, ensure_ascii=False)
            for one in (*self.named, more)
        ]
        return f"{self.key}: [{', '.join(names)}]"

    def _below(self, path: str) -> bool:
        """Whether a path, its links followed, is below one of the folders."""
        return any(_below(root, os.path.realpath(path)) for root in self.real)


def within(folder: str) -> list[os.DirEntry]:
    """What is in a folder, by name; nothing where it is none, or cannot be read."""
    try:
        return sorted(os.scandir(folder), key=lambda one: one.name)
    except OSError:
        return []


def _below(root: str, path: str) -> bool:
    return os.path.commonpath([root, path]) == root


def _no_folder(folder: str, key: str, what: str) -> tuple[str, str]:
    """What to say of a folder that is none."""
    if os.path.exists(folder):
        return f"this is a file and no folder of {what}", f"set {key}: {os.path.dirname(folder) or '.'}"
    above, last = os.path.split(os.path.abspath(folder))
    while not os.path.isdir(above):
        above, last = os.path.split(above)
    near = get_close_matches(last, [one.name for one in within(above) if one.is_dir()], 1)
    return f"the folder of {what} does not exist", f"set {key}: {above} has " + (
        f"no '{last}'; did you mean '{near[0]}'?" if near else f"no '{last}'"
    )
