"""Whether a file of frames goes on to its end: of one that was cut off, decoders give what is left and say nothing.

MP4 is made of boxes, Matroska (MKV, WebM) of elements, GIF of blocks, and each says how long it is. One that ends
behind the file was cut; so was a GIF without its last byte. Where nothing is said (AVI, broken lengths) nothing is
claimed. A live recording without a length of its own may be cut between its parts: it could have ended there.
"""

from collections.abc import Iterator
from typing import BinaryIO

EBML, SEGMENT, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
OPEN = (SEGMENT, CLUSTER)
"""Elements that a live recording writes without a length: what they hold is walked."""
BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp", b"moof")


def cut_off(file: BinaryIO) -> bool:
    """Whether a part of the file ends behind it."""
    size = file.seek(0, 2)
    file.seek(0)
    start = file.read(8)
    file.seek(0)
    if start[:4] == b"GIF8":
        return not _gif(file)
    ends = _elements if start[:4] == EBML.to_bytes(4) else _boxes if start[4:] in BOXES else None
    return ends is not None and any(end > size for end in ends(file, size))


def _boxes(file: BinaryIO, size: int) -> Iterator[int]:
    """Where the outermost boxes of an MP4 end; behind one that announces frames another must begin."""
    at, kind = 0, b""
    while at < size:
        file.seek(at)
        head = file.read(16)
        if len(head) < 8 and (kind == b"moof" or any(head)):
            yield size + 1
        length, kind = int.from_bytes(head[:4]), head[4:8]
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:])
        if length < 8 or not kind.isalnum():  # 0: up to the file's end; else no box
            return
        at += length
        yield at + (kind == b"moof")


def _elements(file: BinaryIO, size: int) -> Iterator[int]:
    """Where the elements of a Matroska file end, from outside inwards as far as lengths are not said."""
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(12)
        wide = 9 - head[0].bit_length()  # bytes of the element's name
        name, rest = int.from_bytes(head[:wide]), head[wide:]
        if wide > 4:  # no element
            return
        more = 9 - rest[0].bit_length() if rest else 1  # bytes of its length
        if more > 8:
            return
        open_ = (1 << 7 * more) - 1
        length = int.from_bytes(rest[:more]) & open_
        at += wide + more
        if length == open_ and name in OPEN:
            length = 0
        elif length == open_:
            return
        at += length
        yield at


def _gif(file: BinaryIO) -> bool:
    """Whether the blocks of a GIF go on to its last byte."""
    head = file.read(13)
    file.seek(_table(head[10:11]), 1)
    while kind := file.read(1):
        if kind == b"\0":  # some write one between blocks
            continue
        if kind == b",":  # a picture: place, size, its colours, bits
            file.seek(_table(file.read(9)[8:]) + 1, 1)
        elif kind == b"!":
            file.seek(1, 1)
        else:
            return True  # the end; or no block, and nothing is claimed
        while (length := file.read(1)) not in (b"\0", b""):
            file.seek(length[0], 1)
    return False


def _table(flags: bytes) -> int:
    """Bytes of a table of colours."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0
