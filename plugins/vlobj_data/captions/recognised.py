"""The options under which a file that lists pictures or clips is read: what `vlobj data FILE` shows."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from vlobj_data.captions import splits as told
from vlobj_data.captions.config import ListedConfig, files
from vlobj_data.captions.roots import URL, within
from vlobj_data.forms.asked import Asked, Kind
from vlobj_data.forms.expansion import expanded
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.opening import opened
from vlobj_data.forms.records import Record
from vlobjectives import DataSummary
from vlobjectives.errors import DataError

LOOKED = 50
"""Files of each split that are looked for."""
MOST = 4
"""Folders that are named."""
MANY = 200
"""Folders in a folder that are looked into."""
CLIPS = (".mp4", ".avi", ".webm", ".mkv", ".mov", ".m4v", "")
"""How clips end; a folder of frames ends in nothing."""
BY_ID = ("msrvtt", "msrvtt_csv", "msvd", "msvd_pickle", "webvid")
"""Forms that may name a clip by its id alone, which `extension` follows."""


class ListedFiles(NamedTuple):
    """What was read of a file.

    form    it was read as
    there   split ("": none named) -> records
    names   some of the files of each split
    inside  they lie within other files
    """

    form: str
    there: Counter[str]
    names: tuple[str, ...]
    inside: bool


def options(path: Path, kind: Kind, folder: str, config: type[ListedConfig]) -> dict[str, Any] | None:
    """The options with which a source of such files reads this one; None where it lists what the source does not show.

    folder  the option that names the folder of files
    Raises DataError where it cannot be read.
    """
    fields = config.model_fields
    extension = fields["extension"].default if "extension" in fields else ""
    beside, more = path if path.is_dir() else path.parent, dict[str, Any]()
    found = listing(path, Asked(kind, extension=extension, roots=(str(beside),)))
    roots = [] if found.inside else folders(beside, found.names)
    if not roots and found.form in BY_ID and not found.inside:
        for other in CLIPS:
            names = [name.removesuffix(extension) + other for name in found.names]
            if roots := folders(beside, names):
                more["extension"] = other
                break
    if not found.inside and _moving(found.names, roots) is not (kind.name == "clip"):
        return None
    if roots and roots != [str(beside)]:
        more[folder] = roots[0] if len(roots) == 1 else roots
    return {"manifest": str(path)} | more | _splits(found, fields["splits"].default, fields["hold_out"].default)


def listing(path: Path, asked: Asked) -> ListedFiles:
    """Reads a file. Raises DataError where it cannot be read, or no record of it can be used."""
    listed = [opened(file, asked) for file in expanded(str(path))]
    there: Counter[str] = Counter()
    names: dict[str, dict[str, None]] = {}
    first: tuple[Manifest, Record] | None = None
    inside = False
    for manifest, record in ((one.manifest, record) for one in listed for record in one.records):
        there[record.split or ""] += 1
        if record.fault:
            first = first or (manifest, record)
            continue
        inside = inside or record.lies is not None
        some = names.setdefault(record.split or "", {})
        if len(some) < LOOKED:
            some[record.file] = None
    if not names and first:
        manifest, record = first
        raise DataError(
            f"none of the {there.total()} records can be used; the first: {record.fault}",
            f"name the file that lists {asked.kind.name}s and captions",
            manifest.place(record.at),
        )
    return ListedFiles(listed[0].manifest.form, there, tuple(dict.fromkeys(chain(*names.values()))), inside)


def summary(config: ListedConfig, forms: Sequence[str], named: bool) -> DataSummary:
    """What is said of manifests that were read in these forms; named: the splits are theirs."""
    paths = [path.name for _, path in files(config.manifest)]
    form = ", ".join(f"{one} ({path})" for one, path in zip(forms, paths)) if len(set(forms)) > 1 else forms[0]
    if isinstance(config.manifest, dict):
        return DataSummary(form, "a file for each, as data.manifest says")
    if named:
        return DataSummary(form, "as the file names them")
    if not config.hold_out:
        return DataSummary(form, "the file names none, and data.hold_out keeps nothing back: all is for training")
    shares = ", ".join(f"{100 * share:g} % to {split}" for split, share in config.hold_out.items())
    return DataSummary(
        form,
        f"the file names none: a hash of file names gives {shares}, which are not trained on (data.hold_out)",
    )


def _moving(names: Sequence[str], roots: Sequence[str]) -> bool:
    """Whether most of the files are clips: by how they end, or since they are folders of frames."""
    ends = tuple(filter(None, CLIPS))
    clips = [
        name
        for name in names
        if name.lower().endswith(ends) or any(os.path.isdir(os.path.join(root, name)) for root in roots)
    ]
    return len(clips) * 2 > len(names)


def _splits(found: ListedFiles, wanted: Mapping[str, Sequence[str]], hold_out: Mapping[str, float]) -> dict[str, Any]:
    """The options that say which records are in which split, where that is not plain."""
    if not set(found.there) - {""}:
        return {"hold_out": dict(hold_out)}
    more = found.there.keys() - {name for names in wanted.values() for name in names}
    trains = any(name in found.there for name in wanted["train"])
    if trains and not more:
        return {}
    return {"splits": told.taking_in(wanted, found.there, more, trains=not trains)}


def folders(beside: Path, names: Sequence[str]) -> list[str]:
    """The folders below which these files lie: as few as there are; none where no file is found.

    beside  the folder of the file that lists them
    """
    lacking = {name for name in names if not URL.match(name) and "\0" not in name}
    absolute = {name for name in lacking if os.path.isabs(name) and os.path.exists(name)}
    found = []
    if len(absolute) * 2 > len(names):
        found.append(os.path.commonpath([os.path.dirname(name) for name in absolute]))
        lacking -= absolute
    few = len(names) // 10  # of that many a folder may have names by chance
    for nearby in _nearby(beside):
        while len(lacking) > few and len(found) < MOST:
            hits = {at: {name for name in lacking if _holds(at, name)} for at in nearby}
            best = max(nearby, key=lambda at: len(hits[at]), default="")
            if not best or len(hits[best]) <= few:
                break
            found.append(best)
            lacking -= hits[best]
        if len(lacking) <= few:
            break
    return found


def _holds(folder: str, name: str) -> bool:
    path = os.path.normpath(os.path.join(folder, name))
    return path.startswith(os.path.join(folder, "")) and os.path.exists(path)


def _nearby(beside: Path) -> Iterator[list[str]]:
    """Where files are looked for, the nearest first: beside the list, below it, above it, below what is above."""
    yield [str(beside)]
    inner = _below(str(beside))
    yield inner
    yield [str(beside.parent), str(beside.parent.parent)]
    outer = [folder for folder in _below(str(beside.parent)) if folder != str(beside)]
    yield outer
    yield [deeper for folder in (*inner, *outer) for deeper in _below(folder)]


def _below(folder: str) -> list[str]:
    return list(islice((one.path for one in within(folder) if one.is_dir()), MANY))
