"""Where the members of a tar lie: one pass over its headers, without reading what is between them.

The formats are ustar, pax and GNU's (POSIX 1003.1-2001; GNU tar's manual, Basic Tar Format). Nothing is unpacked.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, NoReturn

from vlobjectives.errors import DataError, Place

BLOCK = 512
READ = 8 * BLOCK
"""Bytes that are read for a header: captions that follow it, and the next header, mostly lie within them."""
LONGEST = 2**20
"""Bytes that a name may have. A longer one is no name."""
AGAIN = "fetch or write the shard again, or leave it out"
OTHERS = {b"1": "a hard link", b"2": "a symbolic link", b"S": "a sparse file"}


class Member(NamedTuple):
    """A file of a tar.

    at      byte at which its headers begin
    offset  byte at which its content begins
    other   what it is where it is no plain file, in words, with what a link names
    """

    name: str
    at: int
    offset: int
    size: int
    other: str = ""


class Tar:
    """An open tar: its members, in order, and the bytes of small ones."""

    def __init__(self, path: Path):
        """Raises DataError where it cannot be opened."""
        self.path, self._start, self._held = path, 0, b""
        self.end, self.more = True, 0
        """After the members have been read: whether a block of zeros ended them, and how many bytes follow it."""
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"the shard cannot be opened: {error.strerror}", AGAIN, Place(str(path))) from None
        self.size = os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> "Tar":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read_at(self, offset: int, size: int) -> bytes:
        """What lies there; less where the file ends within it."""
        if not self._start <= offset <= offset + size <= self._start + len(self._held):
            try:
                self._held, self._start = os.pread(self._file.fileno(), max(size, READ), offset), offset
            except OSError as error:
                raise DataError(f"the shard cannot be read: {error.strerror}", AGAIN, self._place(offset)) from None
        return self._held[offset - self._start : offset - self._start + size]

    def members(self) -> Iterator[Member]:
        """Every member but folders and devices. Raises DataError for a header that is damaged, and where it is cut."""
        at, first, last = 0, 0, 0
        further: dict[str, bytes] = {}
        all_further: dict[str, bytes] = {}
        while at < self.size:
            header = self.read_at(at, BLOCK)
            if not header[0] and not header.strip(b"\0"):
                self.more = self._after(at)
                return
            if len(header) < BLOCK:
                self._cut("a header", at, at + BLOCK)
            kind, size = self._header(header, at)
            offset, plain = at + BLOCK, {b"\0": b"0", b"7": b"0"}.get(kind, kind)
            if kind in (b"x", b"g", b"L", b"K"):
                text = self._long(offset, size, at)
                if kind in (b"x", b"g"):
                    (further if kind == b"x" else all_further).update(self._pax(text, at))
                else:
                    further["path" if kind == b"L" else "linkpath"] = text.rstrip(b"\0")
            else:
                own = {**all_further, **further} if further or all_further else further
                name = own.get("path") or _name(header)
                if "size" in own and plain == b"0":
                    size = self._number(own["size"], at, 10)
                if own and any(key.startswith("GNU.sparse") for key in own):
                    plain = b"S"
                said = name.decode("utf-8", "surrogateescape")
                if plain in (b"1", b"2"):
                    size = 0
                if offset + size > self.size:
                    self._cut(said, first, offset + size)
                if plain == b"0" and not said.endswith("/"):
                    yield Member(said, first, offset, size)
                elif plain in OTHERS:
                    to = (own.get("linkpath") or header[157:257].split(b"\0", 1)[0]).decode("utf-8", "surrogateescape")
                    yield Member(said, first, offset, size, OTHERS[plain] + (f" to {to}" if to else ""))
                further = {}
            at = offset + -(-size // BLOCK) * BLOCK
            if not further:
                last, first = first, at
        self.end = False
        if at > self.size:
            self._cut("the padding of its last member", last, at)

    def _header(self, header: bytes, at: int) -> tuple[bytes, int]:
        """The type and the size that a header says."""
        try:
            told = int(header[148:156].strip(b"\0 ") or b"0", 8)
        except ValueError:
            told = -1
        if told != sum(header) - sum(header[148:156]) + 8 * 32:
            what = "this is no tar" if not at else "the header of a member is damaged"
            raise DataError(what, AGAIN, self._place(at))
        return header[156:157], self._number(header[124:136], at)

    def _number(self, text: bytes, at: int, base: int = 8) -> int:
        """A size: octal, or in base 256 where the first bit is set; decimal in a pax header."""
        try:
            if text[:1] == b"\x80":
                return int.from_bytes(text[1:], "big")
            number = int(text.strip(b"\0 ") or b"0", base)
            if number >= 0:
                return number
        except ValueError:
            pass
        raise DataError("the header of a member holds no size", AGAIN, self._place(at))

    def _long(self, offset: int, size: int, at: int) -> bytes:
        if size > LONGEST:
            raise DataError(f"a name of {size} bytes, where {LONGEST} is the most", AGAIN, self._place(at))
        if offset + size > self.size:
            self._cut("a name", at, offset + size)
        return self.read_at(offset, size)

    def _pax(self, text: bytes, at: int) -> dict[str, bytes]:
        """`LENGTH KEY=VALUE` and a line break, for each."""
        found = {}
        while text.strip(b"\0"):
            length, _, rest = text.partition(b" ")
            count = int(length) if length.isdigit() and len(length) < 8 else 0
            key, equals, value = rest[: count - len(length) - 2].partition(b"=")
            if not equals or text[count - 1 : count] != b"\n":
                raise DataError("the pax header of a member is damaged", AGAIN, self._place(at))
            found[key.decode("utf-8", "replace")] = value
            text = text[count:]
        return found

    def _after(self, at: int) -> int:
        """How many bytes after the end mark are more than padding, which is zeros."""
        rest = self.read_at(at, min(self.size - at, LONGEST))
        return self.size - at if rest.strip(b"\0") else 0

    def _cut(self, what: str, at: int, end: int) -> NoReturn:
        raise DataError(
            f"the shard is cut off within {what}, which would end at byte {end}: the file ends at byte {self.size}",
            AGAIN,
            self._place(at),
        )

    def _place(self, at: int) -> Place:
        return Place(f"{self.path}, byte {at}")


def _name(header: bytes) -> bytes:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name
