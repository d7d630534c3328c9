"""WebDataset's shards, and img2dataset's: tars in which members of one key, side by side, make a sample.

A key is a member's name up to the first dot behind its folder, as webdataset has it; what follows that dot says what
the member is: a picture by its usual extension, `txt` a caption, `json` an object of captions and what else, `cls` a
class.
"""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from vlobj_data import cache
from vlobj_data.forms.asked import CAPTION, Asked, LayoutFault, Rows, Slice
from vlobj_data.forms.keys import named
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.split_names import split_of
from vlobj_data.forms.tar_index import Member, Tar

PICTURES = ("jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp", "tif", "tiff", "ppm", "pgm", "avif")
CAPTIONS = ("txt", "text", "caption")
TEXTS = (*CAPTIONS, "json", "cls", "class")
NAME = re.compile(r"((?:.*/)?[^./][^./]*)\.([^/]+)", re.DOTALL)
LARGEST = 2**24
"""Bytes that a text may have: no caption is longer."""


def is_tar(path: Path, head: bytes) -> bool:
    """Whether a file is a tar, by its first bytes, or by its name where these are old or no tar's."""
    return head[257:262] == b"ustar" or (path.suffix.lower() == ".tar" and head[:2] != b"\x1f\x8b" and bool(head))


class _Sample:
    """Members of one key that lie side by side."""

    def __init__(self, key: str, at: int, before: int | None):
        self.key, self.at, self.before = key, at, before
        self.members: dict[str, Member] = {}
        self.texts: dict[str, bytes] = {}


def webdataset(manifest: Manifest, asked: Asked) -> Rows:
    """Samples of a shard, each at the byte where its first member begins.

    A key that comes again, a link, a name that leads out of the archive, a sample without picture or caption are bad
    records. Raises DataError where the shard is cut off or damaged.
    """
    return named(_rows)(manifest, asked) if asked.keys else _rows(manifest, asked)


def _rows(manifest: Manifest, asked: Asked) -> Rows:
    split = split_of(manifest.path)
    with Tar(manifest.path) as tar:
        for sample in _samples(tar, manifest):
            row = _row(sample, split)
            if isinstance(row, dict) and "caption" not in asked.keys and not any(name in row for name in CAPTION):
                row = _no_caption(sample, row)
            yield sample.at, row if isinstance(row, dict) else LayoutFault(row, split)
        _noted_end(tar, manifest)
    _noted_beside(manifest)


def _no_caption(sample: _Sample, row: dict[str, Any]) -> str:
    what = f"the sample {sample.key!r} has no caption, only {', '.join(sample.members)}"
    keys = [name for name, value in row.items() if isinstance(value, str) and name not in sample.members]
    return what + (f" with {', '.join(keys)}: data.keys: {{caption: {keys[0]}}} would read that" if keys else "")


def opens(path: Path) -> tuple[Path, "hashlib._Hash"]:
    """The shard itself, and the hash of what is read of it but pictures."""
    return path, hashlib.sha256(cache.remembered("shards", path, lambda: digest(path)).encode())


def digest(path: Path) -> str:
    """SHA-256 of names, places and sizes of members, and of all texts."""
    hashed = hashlib.sha256()
    with Tar(path) as tar:
        for one in tar.members():
            hashed.update(f"{one.name}\0{one.offset} {one.size} {one.other}\n".encode("utf-8", "surrogateescape"))
            if _is_text(one):
                hashed.update(tar.read_at(one.offset, one.size))
    return hashed.hexdigest()


def _samples(tar: Tar, manifest: Manifest) -> Iterator[_Sample]:
    sample: _Sample | None = None
    known: dict[int, int] = {}
    lone: list[Member] = []
    for member in tar.members():
        named = NAME.fullmatch(member.name.removeprefix("./"))
        if not named:
            lone.append(member)
            continue
        key, what = named[1], named[2].lower()
        if sample is None or key != sample.key or what in sample.members:
            if sample:
                yield sample
            sample = _Sample(key, member.at, known.get(hash(key)))
            known.setdefault(hash(key), member.at)
        sample.members[what] = member
        if _is_text(member):
            sample.texts[what] = tar.read_at(member.offset, member.size)
    if sample:
        yield sample
    if lone:
        manifest.note(
            f"{len(lone)} member{'s have' if len(lone) > 1 else ' has'} no extension and belong"
            f"{'' if len(lone) > 1 else 's'} to no sample ({lone[0].name!r}); this is the first",
            "nothing, if they are meant to lie there",
            lone[0].at,
        )


def _is_text(member: Member) -> bool:
    return member.name.rpartition(".")[2].lower() in TEXTS and not member.other and member.size <= LARGEST


def _row(sample: _Sample, split: str | None) -> dict[str, Any] | str:
    """What a record is read of, or why there is none."""
    if sample.before is not None:
        return (
            f"the key {sample.key!r} was there before, at byte {sample.before}: members of a sample lie side by side, "
            "and a key comes once (tar --sort=name packs them so)"
        )
    if sample.key.startswith("/") or ".." in sample.key.split("/"):
        return f"the name {sample.key!r} leads out of the archive"
    for what, member in sample.members.items():
        if member.other:
            return f"{member.name} is {member.other}, which is not followed (tar -h --hard-dereference packs files)"
        if not member.size and what in PICTURES:
            return f"{member.name} is empty (0 bytes)"
        if not _is_text(member) and what in TEXTS:
            return f"{member.name} has {member.size} bytes, which is no caption"
    row: dict[str, Any] = {}
    for what, content in sample.texts.items():
        try:
            row |= _object(content) if what == "json" else {what: content.decode("utf-8-sig")}
        except ValueError as error:
            return f"{sample.members[what].name} {_why(error)}"
    slices = {
        what: Slice(member.name.removeprefix("./"), "", member.offset, member.size)
        for what, member in sample.members.items()
        if what not in sample.texts
    }
    picture = next((slices[what] for what in slices if what in PICTURES), None)
    if picture is None:
        return f"the sample {sample.key!r} has no picture, only {', '.join(sample.members)}"
    row = {"image": picture, **{name: value for name, value in row.items() if name != "image"}, **slices}
    caption = next((row[what] for what in CAPTIONS if what in sample.texts), None)
    if caption is not None:
        row["caption"] = caption
    if split:
        row.setdefault("split", split)
    return row


def _object(content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except RecursionError:
        raise ValueError("is nested deeper than can be read") from None
    if not isinstance(value, dict):
        raise ValueError("holds no object")
    return value


def _why(error: ValueError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return f"is not JSON: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)


def _noted_end(tar: Tar, manifest: Manifest) -> None:
    if not tar.end:
        manifest.note(
            "the shard has no end mark (zeros behind its last member): it may be cut off",
            "nothing, if it is whole; else fetch or write it again",
            tar.size,
        )
    if tar.more:
        manifest.note(
            f"{tar.more} bytes behind the shard's end mark are not read, as where tars were joined by cat",
            "name each tar by itself, or join them by tar --concatenate",
            tar.size - tar.more,
        )


def _noted_beside(manifest: Manifest) -> None:
    """Notes, at the first shard of a folder, that img2dataset's own tables beside the shards are not read."""
    first, tables = _beside(manifest.path.parent)
    if tables and manifest.path.name == first:
        manifest.note(
            f"{len(tables)} tables of img2dataset beside the shards are not read ({tables[0]}, ...): the shards hold "
            "what they say of each sample",
            "nothing",
        )


class _Beside(NamedTuple):
    first: str
    tables: list[str]


@lru_cache(maxsize=16)
def _beside(folder: Path) -> _Beside:
    names = sorted(os.listdir(folder))
    shards = [name.removesuffix(".tar") for name in names if name.endswith(".tar")]
    tables = {f"{name}{end}" for name in shards for end in (".parquet", "_stats.json")}
    return _Beside(f"{shards[0]}.tar" if shards else "", [name for name in names if name in tables])
