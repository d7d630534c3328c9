"""What a file that is not there may be called: names that differ in case, accents, slashes, blanks or the extension."""

import os
import re
import unicodedata
from dataclasses import dataclass, field
from urllib.parse import unquote

from vlobj_data.captions.roots import Roots, within

PARTS = re.compile(r"[\\/]")
REWRITE = "write it so in the manifest, or rename the file"
FOLDERS = 100
"""How many folders are looked into for a file that is not where its name counts from."""


@dataclass
class Listing:
    """The names in a folder by how they read, with the extension and without; the first folders."""

    whole: dict[str, list[str]] = field(default_factory=dict)
    stems: dict[str, list[str]] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)


class Near:
    """Looks for names in the folders of a manifest's files; each is listed once."""

    def __init__(self, roots: Roots):
        self.roots = roots
        self._listed: dict[str, Listing] = {}

    def __call__(self, name: str) -> tuple[str, str] | None:
        """What is there in place of a file that is not, and what to write."""
        parts = [part for part in PARTS.split(name) if part.strip() not in ("", ".")]
        if os.path.isabs(name) or ".." in parts or not parts:
            return None
        for root in self.roots.real:
            right = self._like(root, parts)
            if right and right != name and os.path.isfile(os.path.join(root, right)):
                return f"there is '{right}'{_how(name, right)}", REWRITE
        for root in self.roots.real:
            last = os.path.join(root, parts[-1])
            if len(parts) > 1 and parts[0] == os.path.basename(root) and os.path.isfile(os.path.join(root, *parts[1:])):
                return f"it is there from the folder above {root}", f"set {self.roots.key}: {os.path.dirname(root)}"
            if len(parts) > 1 and os.path.isfile(last):
                return f"there is '{parts[-1]}', without the folder", "write it so in the manifest"
            for folder in self._names(root).folders:
                if os.path.isfile(os.path.join(root, folder, *parts)):
                    return f"there is '{folder}/{name}'", f"set {self.roots.line(os.path.join(root, folder))}"
        return None

    def _like(self, root: str, parts: list[str]) -> str:
        """The one file below a folder whose path reads like these parts; empty if there is none or are several."""
        at, found = root, []
        for number, part in enumerate(parts, 1):
            names, folded = self._names(at), _folded(part)
            same = names.whole.get(folded, [])
            if number == len(parts) and not same:
                bare = re.sub(r"#\d+$", "", folded)  # as Flickr's lists number captions
                same = names.whole.get(bare) or names.stems.get(os.path.splitext(bare)[0], [])
            if len(same) != 1:
                return ""
            found.append(same[0])
            at = os.path.join(at, same[0])
        return "/".join(found)

    def _names(self, folder: str) -> Listing:
        if folder not in self._listed:
            found = self._listed[folder] = Listing()
            for one in within(folder):
                folded = _folded(one.name)
                found.whole.setdefault(folded, []).append(one.name)
                found.stems.setdefault(os.path.splitext(folded)[0], []).append(one.name)
                if len(found.folders) < FOLDERS and one.is_dir():
                    found.folders.append(one.name)
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
