"""The rows of a manifest become records.

A file that is not what its form says stops with a DataError that gives the line. A record that is well formed and
cannot be used (no caption, a number where a file name should be) becomes a Record with a `fault`: the source hands
it out as a bad sample, so that it is counted and never dropped in silence.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from vlobj_data.forms.asked import CAPTION, SPLITS, Asked, Kind, LayoutFault, Rows, Slice
from vlobj_data.forms.json_layouts import kind_of
from vlobj_data.forms.manifest import Manifest
from vlobjectives.errors import DataError


class Record(NamedTuple):
    """at: the line, or the entry's number in a JSON file, from 1; split: as the manifest says; fault: why it is bad.

    more: what stands under the further keys that were asked for, None where there is nothing.
    lies: where the file lies in another one; None: it lies by itself.
    """

    at: int
    file: str
    captions: tuple[str, ...]
    split: str | None
    fault: str = ""
    more: Mapping[str, Any] = {}
    lies: Slice | None = None


def recorded(rows: Rows, manifest: Manifest, asked: Asked) -> Iterator[Record]:
    """The records of a manifest's rows.

    Raises DataError, at the end, where there are none and where splits are no texts.
    """
    count, odd = 0, []
    for at, fields in rows:
        count += 1
        if isinstance(fields, dict):
            if not isinstance(split := fields.get("split"), str | None):
                odd.append((at, split))
            if count == 1:
                _looked_at(fields, asked.kind, manifest, at)
        records = _records(at, fields, asked.kind, asked.more)
        yield from (map(partial(_within, asked.within), records) if asked.within else records)
    if odd:
        at, split = odd[0]
        raise DataError(
            f"{kind_of(split)} where a split should be ({len(odd)} records; this is the first)",
            'write a name there, such as "split": "train", or take the key out of all records: then splits '
            "are drawn by a hash of file names",
            manifest.place(at),
        )
    if not count:
        raise DataError(
            "the manifest holds no records", f"name the manifest that lists the {asked.kind.name}s", manifest.place()
        )


def _within(folder: str, record: Record) -> Record:
    """A record whose name counts from a folder, if it is one that counts from somewhere."""
    elsewhere = record.lies or not record.file or record.file.startswith("/") or "://" in record.file
    return record if elsewhere else record._replace(file=f"{folder}/{record.file}")


def _looked_at(fields: Mapping[str, Any], kind: Kind, manifest: Manifest, at: int) -> None:
    """Notes what is read of a record of JSON, where other keys of it could be meant."""
    for names in (kind.file, CAPTION):
        first, *more = [name for name in names if name in fields] or [""]
        if more:
            manifest.note(
                f"the key '{first}' is read, and {', '.join(more)} beside it not",
                "nothing, if it is meant; else take it out of the records",
                at,
            )
    if "split" not in fields and not manifest.kin:
        manifest.kin = next((name for name in fields if name.lower() in (*SPLITS, "split")), "")


def _records(at: int, fields: Any, kind: Kind, keys: Sequence[str]) -> Iterator[Record]:
    """The record of one entry, and one more for each of its captions that cannot be used."""
    if isinstance(fields, LayoutFault):
        yield Record(at, "", (), fields.split, fields.why)
        return
    if not isinstance(fields, dict):
        yield Record(at, "", (), None, f"{kind_of(fields)} where an object with {kind.file[0]} and caption should be")
        return
    file, captions = _first(fields, kind.file), _first(fields, CAPTION)
    split = fields.get("split")
    split = split.strip() or None if isinstance(split, str) else None
    lies = file if isinstance(file, Slice) else None
    file = lies.name if lies else file
    if not isinstance(file, str) or not file.strip():
        yield Record(at, "", (), split, _no_file(file, fields, kind))
        return
    if _half_pair(file):
        yield Record(at, "", (), split, "a file name with half a surrogate pair, which is no text")
        return
    captions = captions if isinstance(captions, list) else [captions]
    faults = [_fault(caption) for caption in captions or [None]]
    good = tuple(caption.strip() for caption, fault in zip(captions, faults) if not fault)
    if good:
        yield Record(at, file, good, split, more={key: fields.get(key) for key in keys}, lies=lies)
    for fault in filter(None, faults):
        yield Record(at, file, (), split, fault)


def _no_file(file: Any, fields: Mapping[str, Any], kind: Kind) -> str:
    if file is not None or any(name in fields for name in kind.file):
        what = "an empty text" if isinstance(file, str) else kind_of(file)
        return f"{what} where the {kind.name}'s file name should be"
    return f"no {kind.name}'s file name under any of {', '.join(kind.file)}: its keys are {', '.join(fields) or 'none'}"


def _first(fields: dict, names: tuple[str, ...]) -> Any:
    return next((fields[name] for name in names if name in fields), None)


def _fault(caption: Any) -> str:
    if not isinstance(caption, str):
        return "no caption" if caption is None else f"{kind_of(caption)} where a caption should be"
    if not caption.strip():
        return "an empty caption"
    if _half_pair(caption):
        return "a caption with half a surrogate pair, which is no text"
    return ""


def _half_pair(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)
