"""Tables of URLs, joined with a folder into which somebody downloaded what they name. Nothing is fetched.

Numbers of rows count from 0, without a header, as pandas and img2dataset count them.
"""

import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from typing import NamedTuple

from vlobj_data.forms.asked import CAPTION, Asked, Rows
from vlobj_data.forms.header import header_of
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.tables import table
from vlobjectives.errors import DataError

URL = re.compile(r"https?://\S+", re.IGNORECASE)
LOOKED_AT = 2000
ENDINGS = ("", ".jpg", ".jpeg", ".png", ".webp", ".gif")


class DownloadName(NamedTuple):
    """How downloads are called: by a row's number and its URL.

    told  what a name is, in words
    sure  it holds the URL, or a part of it, so that it cannot be another row's
    """

    told: str
    name: Callable[[int, str], str]
    sure: bool = True


def _crc(url: str) -> int:
    return zlib.crc32(url.encode())


NAMINGS = (
    DownloadName("ROW_CRC32, as Conceptual Captions' downloader", lambda row, url: f"{row}_{_crc(url)}"),
    DownloadName("CRC32 of the URL", lambda row, url: str(_crc(url))),
    DownloadName("MD5 of the URL", lambda row, url: hashlib.md5(url.encode(), usedforsecurity=False).hexdigest()),
    DownloadName("SHA-256 of the URL", lambda row, url: hashlib.sha256(url.encode()).hexdigest()),
    DownloadName("SHARD/ROW, as img2dataset", lambda row, url: f"{row // 10000:05d}/{row:09d}", False),
    DownloadName("ROW of nine digits", lambda row, url: f"{row:09d}", False),
    DownloadName("ROW", lambda row, url: str(row), False),
)


def conceptual(manifest: Manifest, asked: Asked) -> Rows:
    """Conceptual Captions (Sharma et al. 2018): a caption and a URL, in either order, with a header or without."""
    (file, *_), first = asked.kind.file, manifest.text.strip().partition("\n")[0].rstrip("\r").split("\t")
    at = next((at for at, cell in enumerate(first, 1) if URL.fullmatch(cell.strip())), 0)
    keys: Mapping[str, tuple[str | int, ...]] = {file: ("url",)}
    if at:
        keys = {file: (at,), "caption": (1 + (at == 1),)}
    return joined(table(manifest, asked._replace(keys=keys)), manifest, asked, needed=True)


def is_conceptual(first: str, asked: Asked) -> bool:
    """Whether a first line is a caption and a URL, or a header that names these and no file."""
    cells = first.split("\t")
    names = header_of(cells)
    if "url" in names and any(name in names for name in CAPTION):
        return not any(name in names for name in asked.kind.file)
    return len(cells) == 2 and [bool(URL.fullmatch(cell.strip())) for cell in cells].count(True) == 1


def joined(rows: Rows, manifest: Manifest, asked: Asked, needed: bool = False) -> Rows:
    """Rows whose files are URLs with the names of their downloads; those without one are left out, with a note.

    Rows of other files, and where no download is found, stay as they are. Raises DataError where it is not clear which
    download belongs to which row, and, with `needed`, where there is none.
    """
    file = asked.kind.file[0]
    first = list(islice(rows, LOOKED_AT))
    urls = [(number, url) for number, (_, row) in enumerate(first) if (url := _url(row, file))]
    if not urls:
        yield from chain(first, rows)
        return
    naming = _naming(urls, manifest, asked)
    if naming is None:
        if needed:
            raise _none_there(urls, manifest, asked)
        yield from chain(first, rows)
        return
    lost: list[int] = []
    block = -1
    for number, (at, row) in enumerate(chain(first, rows)):
        url = _url(row, file)
        if not url:
            yield at, row
            continue
        name = _there(naming.name(number, url), asked)
        if name is None:
            lost.append(at)
            continue
        if not naming.sure and number // 1000 != block:
            block = number // 1000
            _checked(name, url, manifest, asked, at)
        yield at, {**row, file: name}
    if lost:
        what = f"{len(lost)} rows have no download and are left out; this is the first"
        manifest.note(what, "nothing, if what is missing could not be had", lost[0])


def _url(row: object, file: str) -> str:
    url = row.get(file) if isinstance(row, dict) else None
    return url.strip() if isinstance(url, str) and URL.fullmatch(url.strip()) else ""


def _there(name: str, asked: Asked) -> str | None:
    return next((name + ending for ending in ENDINGS if asked.there(name + ending)), None)


def _naming(urls: Sequence[tuple[int, str]], manifest: Manifest, asked: Asked) -> DownloadName | None:
    """How the downloads below the roots are called. Raises DataError where more than one naming finds some."""
    found = {naming: name for naming in NAMINGS if (name := _first_there(naming, urls, asked))}
    sure = [naming for naming in found if naming.sure]
    if len(found) > 1 and len(sure) != 1:
        names = "; ".join(f"{naming.told}: {name}" for naming, name in found.items())
        raise DataError(
            f"the downloads could be meant in several ways ({names})",
            f"leave one kind in the folder, or write JSON lines of {asked.kind.file[0]} and caption",
            manifest.place(),
        )
    naming = next(iter(sure or found), None)
    if naming and naming.told == "ROW" and _there("0", asked) is None and not _beside(found[naming], asked):
        raise DataError(
            f"nobody knows whether the names of downloads ({found[naming]}) count rows from 0 or from 1",
            f"write JSON lines of {asked.kind.file[0]} and caption, or download with img2dataset",
            manifest.place(),
        )
    return naming


def _first_there(naming: DownloadName, urls: Sequence[tuple[int, str]], asked: Asked) -> str | None:
    return next((name for row, url in urls if (name := _there(naming.name(row, url), asked))), None)


def _beside(name: str, asked: Asked) -> dict:
    """What img2dataset wrote of a download, beside it; empty where there is nothing."""
    for root in asked.roots:
        try:
            with open(os.path.join(root, os.path.splitext(name)[0] + ".json"), encoding="utf-8") as file:
                told = json.load(file)
            return told if isinstance(told, dict) else {}
        except (OSError, ValueError):
            continue
    return {}


def _checked(name: str, url: str, manifest: Manifest, asked: Asked, at: int) -> None:
    """Raises DataError where a download's own record says that it is of another URL."""
    told = _beside(name, asked).get("url", url)
    if told != url:
        raise DataError(
            f"{name} is not of this row: it was downloaded from {told}",
            "name the table that was downloaded; shards of other than 10000 rows are not told by a row's number: read "
            "the shards themselves",
            manifest.place(at),
        )


def _none_there(urls: Sequence[tuple[int, str]], manifest: Manifest, asked: Asked) -> DataError:
    row, url = urls[0]
    tried = ", ".join(f"{naming.name(row, url)}.jpg ({naming.told})" for naming in NAMINGS)
    return DataError(
        f"the table lists URLs, and none of the first {len(urls)} has a download in {', '.join(asked.roots)}: "
        f"looked for {tried}",
        "nothing is fetched: download them (img2dataset --output_format files) and name the folder: data.images",
        manifest.place(),
    )
