"""The bytes of a manifest become text, or a DataError that says what the file looks like and what to do."""

import shlex
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from vlobjectives.errors import DataError, Place, Problem

TABLE = 'write what it lists as JSON lines, one {{"file": ..., "caption": ...}} a line, and name that file'
UNPACK = "unpack it ({tool}), and name the manifest that comes out"
STARTS: tuple[tuple[bytes, str, str], ...] = (
    *(
        (start, "a picture", "name the file that lists {plural} and captions")
        for start in (b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
    ),
    (b"\x1aE\xdf\xa3", "a video", "name the file that lists {plural} and captions"),
    (b"\x1f\x8b", "packed by gzip", UNPACK.replace("{tool}", "gunzip -k {name}")),
    (b"BZh91AY&SY", "packed by bzip2", UNPACK.replace("{tool}", "bunzip2 -k {name}")),
    (b"\xfd7zXZ\0", "packed by xz", UNPACK.replace("{tool}", "unxz -k {name}")),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", UNPACK.replace("{tool}", "unzstd {name}")),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK.replace("{tool}", "7z x {name}")),
    (b"PAR1", "a Parquet file", TABLE),
    (b"ARROW1", "an Arrow file", TABLE),
    (b"SQLite format 3\0", "a database", TABLE),
    (b"\x89HDF\r\n", "an HDF5 file", TABLE),
    (b"\x93NUMPY", "an array of NumPy", TABLE),
    (b"%PDF-", "a PDF", "name the file that lists {plural} and captions"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet", "save it from there as CSV in UTF-8"),
    (
        b"version https://git-lfs.github.com/spec",
        "a pointer of Git LFS, and what it points at was not fetched",
        "fetch it: git lfs pull",
    ),
    (b"<!doctype html", "a web page, such as a failed download leaves", "download the manifest again"),
    (b"<html", "a web page, such as a failed download leaves", "download the manifest again"),
)
"""First bytes (small letters) -> what such a file is, and what to do."""


UNITS = {"webdataset": "byte", "parquet": "row", "arrow": "row"}
"""Form -> what its records are numbered by, where it is neither lines nor entries."""


class Note(NamedTuple):
    """What readers of a manifest should know, of the record `at` or of the whole."""

    what: str
    hint: str
    at: int | None = None


@dataclass
class Manifest:
    """A manifest, its text while it is read.

    form   what it was read as
    lines  its records are numbered by lines, else by entries
    notes  what readers of it should know, collected while it is read
    kin    a key of its records that is not read and looks like a split
    container  the file that holds what it lists, where that is itself or was made of it
    """

    path: Path
    text: str = ""
    form: str = ""
    lines: bool = True
    notes: list[Note] = field(default_factory=list)
    kin: str = ""
    container: Path | None = None

    def place(self, at: int | None = None, column: int | None = None) -> Place:
        """Where a record (or the file) is."""
        if at is not None and not self.lines:
            return Place(f"{self.path}, {UNITS.get(self.form, 'entry')} {at}")
        return Place(str(self.path), at, column)

    def numbered(self) -> Iterator[tuple[int, str]]:
        """The numbers and texts of its lines, the blank ones left out; one by one, since there may be millions."""
        # not splitlines(): texts may hold U+2028 and U+0085
        text, start, line = self.text, 0, 0
        while start < len(text):
            end = text.find("\n", start)
            end = len(text) if end < 0 else end
            row, start, line = text[start:end], end + 1, line + 1
            if row.strip():
                yield line, row.removesuffix("\r")

    def note(self, what: str, hint: str, at: int | None = None) -> None:
        self.notes.append(Note(what, hint, at))

    def problem(self, note: Note) -> Problem:
        return Problem(self.place(note.at), "", note.what, note.hint, note=True)


def read(path: Path, plural: str) -> bytes:
    """What is in a manifest. Raises DataError where that cannot be one: what is no text is not read whole.

    plural  what it lists, in words
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise DataError(
                "the manifest is a folder" if stat.S_ISDIR(about.st_mode) else "the manifest is no plain file",
                _instead(path, plural),
                Place(str(path)),
            )
        with path.open("rb") as file:
            if other := _other(head := file.read(1024), path, plural):
                raise DataError(f"the manifest is {other[0]}", other[1], Place(str(path)))
            data = head + file.read()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DataError(f"the manifest cannot be read: {why}", _instead(path, plural), Place(str(path))) from None
    if not data.strip():
        raise DataError(
            f"the manifest is empty ({len(data)} bytes) and holds no records",
            f"name the manifest that lists the {plural}",
            Place(str(path)),
        )
    return data


def _instead(path: Path, plural: str) -> str:
    """The line to write in place of a name that is no file."""

    def names(folder: Path, good: Callable[[Path], bool]) -> list[str]:
        try:
            return sorted(one.name for one in folder.iterdir() if good(one))
        except (OSError, ValueError):
            return []

    inner = names(path, lambda one: one.suffix.lower() in (".json", ".jsonl", ".csv", ".tsv"))
    if inner:
        return f"name the file: data.manifest: {path / inner[0]}" + (
            f" (or {', '.join(inner[1:4])})" if inner[1:] else ""
        )
    near = get_close_matches(path.name, names(path.parent, Path.is_file), 1, 0.8)
    return (
        f"did you mean data.manifest: {path.with_name(near[0])}?"
        if near
        else f"set data.manifest to the file that lists {plural} and captions"
    )


def _other(head: bytes, path: Path, plural: str) -> tuple[str, str] | None:
    """What a file is that is no text, by its first bytes, and what to do."""
    small, name = head[:64].lower(), shlex.quote(path.name)
    found = next(
        ((what, hint) for start, what, hint in STARTS if head.startswith(start) or small.startswith(start)), None
    )
    if head.startswith(b"PK\x03\x04"):
        found = (
            ("a spreadsheet", "save it from there as CSV in UTF-8")
            if b"[Content_Types].xml" in head
            else ("a zip archive", UNPACK.replace("{tool}", "unzip {name}"))
        )
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        found = "a picture", "name the file that lists {plural} and captions"
    elif head[4:8] == b"ftyp":
        found = "a video", "name the file that lists {plural} and captions"
    elif head[257:262] == b"ustar":
        found = "a tar archive", "unpack it (tar -xf {name}); " + TABLE
    elif pickled(head):
        found = "a pickle, which is never run", TABLE
    return found and (found[0], found[1].format(plural=plural, name=name))


def pickled(head: bytes) -> bool:
    """Whether a file's first bytes are a pickle's."""
    return head[:1] == b"\x80" and head[1:2] in (b"\2", b"\3", b"\4", b"\5")


def decoded(data: bytes, path: Path) -> str:
    """UTF-8 text, a byte order mark taken off. Raises DataError for other encodings and for NUL characters."""
    if data.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        raise DataError("the manifest is UTF-32", _again(path, "UTF-32"), Place(str(path)))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("the manifest is UTF-16", _again(path, "UTF-16"), Place(str(path)))
    start = data[:1000]
    for order, first in (("LE", 1), ("BE", 0)):  # letters of Latin script have a NUL beside each
        if start[first::2].count(0) > len(start) // 4 > start[1 - first :: 2].count(0):
            raise DataError(
                "the manifest looks like UTF-16 without a byte order mark",
                _again(path, f"UTF-16{order}"),
                Place(str(path)),
            )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = error.start + len(data) - len(error.object)  # a byte order mark is not counted
        place = Place(str(path), data.count(b"\n", 0, at) + 1)
        if error.reason == "unexpected end of data":
            raise DataError(
                "the manifest ends in the middle of a letter: it is cut off", "fetch or write it again", place
            ) from None
        raise DataError(
            f"byte {data[at]:#04x} is not UTF-8",
            f"{_again(path, 'ENCODING')}, where ENCODING is what it "
            "was written in: CP1252 in the west of Europe, GB18030, CP932, ...",
            place,
        ) from None
    if nuls := text.count("\0"):
        line = text.count("\n", 0, text.index("\0")) + 1
        new, old = (shlex.quote(str(name)) for name in (_new(path), path))
        raise DataError(
            f"the manifest holds {nuls} NUL character{'s' * (nuls > 1)}, as files do that were not written "
            "to their end",
            f"fetch or write it again, or take them out: tr -d '\\0' < {old} > {new}",
            Place(str(path), line),
        )
    return text


def _again(path: Path, encoding: str) -> str:
    new, old = (shlex.quote(str(name)) for name in (_new(path), path))
    return f"save it as UTF-8: iconv -f {encoding} -t UTF-8 {old} > {new}"


def _new(path: Path) -> Path:
    return path.with_name(f"{path.stem}_utf8{path.suffix}")
