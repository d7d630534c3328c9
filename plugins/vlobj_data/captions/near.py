"""What a file that is not there may be called: names that differ in case, accents, slashes, blanks or the extension."""

import os
import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import unquote

from vlobj_data.captions.paths import Roots

PARTS = re.compile(r"[\\/]")


class Near:
    """Looks for names in the folders of a manifest's files; each is listed once."""

    def __init__(self, roots: Roots):
        self.roots = roots
        self._listed: dict[str, dict[str, list[str]]] = {}

    def __call__(self, name: str) -> tuple[str, str] | None:
        """What is there in place of a file that is not, and what to write."""
        parts = [part for part in PARTS.split(name) if part.strip() not in ("", ".")]
        if os.path.isabs(name) or ".." in parts or not parts:
            return None
        for root in self.roots.real:
            right = self._like(root, parts)
            if right and right != name and os.path.isfile(os.path.join(root, right)):
                return f"; there is '{right}'{_how(name, right)}", "write it so in the manifest, or rename the file"
        for root in self.roots.real if len(parts) > 1 else ():
            if parts[0] == os.path.basename(root) and os.path.isfile(os.path.join(root, *parts[1:])):
                return f"; it is there from the folder above {root}", \
                    f"set {self.roots.key}: {os.path.dirname(root)}"
            if os.path.isfile(os.path.join(root, parts[-1])):
                return f"; there is '{parts[-1]}', without the folder", "write it so in the manifest"
        return None

    def _like(self, root: str, parts: list[str]) -> str:
        """The one file below a folder whose path reads like these parts; empty if there is none or are several."""
        at, found = root, []
        for number, part in enumerate(parts, 1):
            names = self._names(at)
            same = names.get(_folded(part), [])
            if number == len(parts) and not same:
                bare = re.sub(r"#\d+$", "", _folded(part))  # as Flickr's lists number captions
                stem = os.path.splitext(bare)[0]
                same = names.get(bare) or [name for folded, alike in names.items() for name in alike
                                           if os.path.splitext(folded)[0] == stem]
            if len(same) != 1:
                return ""
            found.append(same[0])
            at = os.path.join(at, same[0])
        return "/".join(found)

    def _names(self, folder: str) -> Mapping[str, list[str]]:
        """The names in a folder by how they read."""
        if folder not in self._listed:
            names: dict[str, list[str]] = {}
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                names.setdefault(_folded(name), []).append(name)
            self._listed[folder] = names
        return self._listed[folder]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unquote(name)).strip().casefold()


def _how(name: str, right: str) -> str:
    """In what they differ, where that is hard to see."""
    for form in ("NFC", "NFD"):
        if unicodedata.normalize(form, name) == right:
            return f", whose accents are written otherwise (Unicode's {form})"
    if "\\" in name:
        return ", with slashes"
    return ", in other case" if name.casefold() == right.casefold() else ""
