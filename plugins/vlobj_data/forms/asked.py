"""What a source asks of a file that lists its data, and what a form gives back."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Kind(NamedTuple):
    """What a manifest lists: its name in messages, the keys under which rows name its file, how such files end."""

    name: str
    file: tuple[str, ...]
    endings: tuple[str, ...]


PICTURES = Kind(
    "picture",
    ("image", "filename", "file_name", "file", "image_path", "filepath", "image_name", "img"),
    (".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".avif"),
)
CLIPS = Kind(
    "clip",
    ("video", "clip", "file_name", "filename", "file", "path", "video_path", "frames"),
    (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".gif", ".avi"),
)

CAPTION = ("caption", "captions", "text", "sentence", "sentences", "title", "comment")
"""Keys under which rows hold captions."""
SPLITS = ("splits", "set", "subset", "partition", "fold", "phase", "split_name")
"""Keys that seem to name splits and are not read."""
FILE = re.compile(r"\S+\.(jpe?g|png|webp|gif|bmp|tiff?|mp4|webm|mkv|avi|mov)(#\d+)?|https?://\S+", re.IGNORECASE)


class Asked(NamedTuple):
    """What a recipe says of its manifests.

    kind       what they list
    form       the form that the recipe names; None: it is found out
    more       further keys of a record that are read
    extension  follows a clip's id where a form gives no file name
    keys       what records are read by -> their own names for it, or numbers of columns, from 1
    lists      split -> file that lists what is in it
    roots      folders below which the files lie
    within     where names count from, below the source's folder; empty: from any of the roots
    """

    kind: Kind
    form: str | None = None
    more: tuple[str, ...] = ()
    extension: str = ""
    keys: Mapping[str, tuple[str | int, ...]] = {}
    lists: Mapping[str, Path] = {}
    roots: tuple[str, ...] = ()
    within: str = ""

    def there(self, name: str) -> bool:
        """Whether a file of this name lies below a root."""
        try:
            return any(os.path.exists(os.path.join(root, name)) for root in self.roots)
        except ValueError:  # a NUL character
            return False


class Slice(NamedTuple):
    """A file that lies within another one: a member of a tar, a cell of a column.

    A form gives it in place of the file's name; `name` is what it would be called if it lay by itself. `container` is
    empty where the manifest's own is meant, so that what is kept of a manifest goes with it.
    """

    name: str
    container: str
    offset: int
    size: int


Rows = Iterator[tuple[int, Any]]
"""Numbers of lines or entries, each with what stands there: an object if all is well, a LayoutFault if the form says
so. An object has the file (a name, or a Slice) under one of the kind's keys, one caption or several, a split, and what
else stands in the record."""


class LayoutFault(NamedTuple):
    """Why a row of a manifest cannot be used, and the split in which it counts."""

    why: str
    split: str | None = None
