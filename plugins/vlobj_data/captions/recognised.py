"""The options under which a file that lists pictures or clips is read: what `vlobj data FILE` shows."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from vlobj_data.captions import splits as told
from vlobj_data.captions.config import ListedConfig, files, named
from vlobj_data.captions.config import folders as folders_of
from vlobj_data.captions.roots import URL, within
from vlobj_data.forms.asked import CLIPS, PICTURES, Asked, Kind
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.opening import opened
from vlobj_data.forms.split_names import SPLITS, split_of
from vlobjectives import DataSummary
from vlobjectives.errors import DataError

LOOKED = 50
"""Files of each split that are looked for."""
MOST = 4
"""Folders that are named."""
MANY = 200
"""Folders in a folder that are looked into."""
NEAR = 16
"""Folders in which forms look whose names hang on what is there."""


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

    @property
    def named(self) -> bool:
        return bool(self.there.keys() - {""})


def options(
    path: Path, kind: Kind, folder: str, cls: type[ListedConfig], written: Mapping[str, Any]
) -> dict[str, Any] | None:
    """The options with which a source of such files reads this one, beside those that are given; None where it lists
    what the source does not show.

    folder   the option that names the folder of files
    cls      the Config of the source
    written  the options that are given
    Raises DataError where it cannot be read, and ValidationError where the Config does not take the options.
    """
    config = cls.model_validate_json(json.dumps({"manifest": str(path), **written}))
    beside, given = path if path.is_dir() else path.parent, config.model_fields_set
    asked = Asked(
        kind,
        getattr(config, "form", None),
        extension=getattr(config, "extension", ""),
        keys=named(config.keys),
        lists={split: Path(one) for split, one in config.lists.items()},
        roots=tuple(folders_of(getattr(config, folder), config.manifest)),
    )
    if folder not in given:
        asked = asked._replace(roots=tuple(islice(chain(*_nearby(beside)), NEAR)))
    found, manifest = listing(files(config.manifest), asked), config.manifest
    if not found.named and isinstance(manifest, str) and (beside_it := _by_split(path, asked)):
        manifest = {split: str(one) for split, one in beside_it.items()}
        found = listing(files(manifest), asked)
    roots, more = [] if folder in given or found.inside else folders(beside, found.names), dict[str, Any]()
    if not found.inside and _moving(kind, found.names, roots or asked.roots) is not (kind == CLIPS):
        return None
    if roots and roots != [str(beside)]:
        more[folder] = roots[0] if len(roots) == 1 else roots
    if isinstance(manifest, str) and not given & {"splits", "hold_out"}:
        more |= _splits(found, config.splits, config.hold_out)
    return {"manifest": manifest} | more


def listing(paths: Sequence[tuple[str, Path]], asked: Asked) -> ListedFiles:
    """Reads files, each with the split that it is said to be of. Raises DataError where one cannot be read, or no
    record of it can be used."""
    there: Counter[str] = Counter()
    names: dict[str, dict[str, None]] = {}
    inside, first = False, None
    listed = [(split, opened(path, asked)) for split, path in paths]
    for of, one in listed:
        for record in one.records:
            split = of or record.split or ""
            there[split] += 1
            if record.fault:
                first = first or (record.fault, one.manifest.place(record.at))
                continue
            inside = inside or record.lies is not None
            some = names.setdefault(split, {})
            if len(some) < LOOKED:
                some[record.file] = None
    if not names and first:
        raise DataError(
            f"none of the {there.total()} records can be used; the first: {first[0]}",
            f"name the file that lists {asked.kind.name}s and captions",
            first[1],
        )
    return ListedFiles(listed[0][1].manifest.form, there, tuple(dict.fromkeys(chain(*names.values()))), inside)


def _by_split(path: Path, asked: Asked) -> dict[str, Path]:
    """Of a file that is called as those of training are: it, and beside it those of the other splits."""
    if split_of(path) != "train" or not path.is_file():
        return {}
    known = {
        split: one for one in sorted(path.parent.iterdir()) if _plain(one) == _plain(path) and (split := split_of(one))
    }
    found = {"train": path}
    for split in ("val", "test"):
        with suppress(DataError):  # it is called so, and lists nothing
            if split in known and listing([(split, known[split])], asked).there:
                found[split] = known[split]
    return found if len(found) > 1 else {}


def _plain(path: Path) -> str:
    """A name in which the split's is left open."""
    return re.sub(r"[a-z]+", lambda word: "*" if word[0] in SPLITS else word[0], path.name.lower())


def summary(config: ListedConfig, manifests: Sequence[Manifest], named: bool) -> DataSummary:
    """What is said of manifests that were read; named: the splits are theirs."""
    form = ", ".join(dict.fromkeys(one.form for one in manifests))
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


def _moving(kind: Kind, names: Sequence[str], roots: Sequence[str]) -> bool:
    """Whether most of the files are clips: by how they end, or since they are folders of frames."""
    ends = CLIPS.endings if kind == CLIPS else tuple(set(CLIPS.endings) - set(PICTURES.endings))
    clips = [
        name
        for name in names
        if name.lower().endswith(ends) or any(os.path.isdir(os.path.join(root, name)) for root in roots)
    ]
    return len(clips) * 2 > len(names)


def _splits(found: ListedFiles, wanted: Mapping[str, Sequence[str]], hold_out: Mapping[str, float]) -> dict[str, Any]:
    """The options that say which records are in which split, where that is not plain."""
    if not found.named:
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
    yield list(islice((deeper for folder in (*inner, *outer) for deeper in _below(folder)), MANY))


def _below(folder: str) -> list[str]:
    return list(islice((one.path for one in within(folder) if one.is_dir()), MANY))
