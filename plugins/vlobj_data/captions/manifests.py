"""Manifest files: Karpathy's JSON, a JSON list, JSON lines, CSV or TSV become records.

A file that is not what its form says stops with a DataError that gives the line. A record that is well formed and
cannot be used (no caption, a number where a file name should be) becomes a Record with a `fault`: the source hands
it out as a bad sample, so that it is counted and never dropped in silence.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from vlobjectives.errors import DataError, Place

Form = Literal["karpathy", "list", "jsonl", "csv"]
CAPTION = ("caption", "captions", "text", "sentence", "sentences")
SAVE_AGAIN = "save the file as UTF-8 text"

Rows = Iterator[tuple[int, Any]]
"""Numbers of lines or entries, each with what stands there: an object if all is well, a Fault if the form says so."""


class Fault(NamedTuple):
    """Why a row of a manifest cannot be used, and the split in which it counts."""

    why: str
    split: str | None = None


class Kind(NamedTuple):
    """What a manifest lists: its name in messages, and the keys under which rows name its file."""

    name: str
    file: tuple[str, ...]


PICTURES = Kind("picture", ("image", "filename", "file_name", "file", "image_path", "filepath"))


class Record(NamedTuple):
    """at: the line, or the entry's number in a JSON file, from 1; split: as the manifest says; fault: why it is bad.

    more: what stands under the further keys that were asked for, None where there is nothing.
    """

    at: int
    file: str
    captions: tuple[str, ...]
    split: str | None
    fault: str = ""
    more: Mapping[str, Any] = {}


def records(text: str, path: Path, form: Form, keys: Sequence[str] = ()) -> Iterator[Record]:
    """The records of a manifest of pictures. Raises DataError for a broken file, and for one without records."""
    return recorded(_READ[form](text, path), path, PICTURES, keys)


def recorded(rows: Rows, path: Path, kind: Kind, keys: Sequence[str] = ()) -> Iterator[Record]:
    """The records of a manifest's rows. Raises DataError where there are none."""
    count = 0
    for at, fields in rows:
        count += 1
        yield from _records(at, fields, kind, keys)
    if not count:
        raise DataError("the manifest holds no records", f"name the manifest that lists the {kind.name}s",
                        Place(str(path)))


def form_of(text: str, path: Path) -> Form:
    """By the extension where it says enough, else by the content."""
    if path.suffix.lower() in (".csv", ".tsv"):
        return "csv"
    if path.suffix.lower() in (".jsonl", ".ndjson"):
        return "jsonl"
    start = text.lstrip()
    if start.startswith("["):
        return "list"
    if not start.startswith("{"):
        return "csv"
    first, _, rest = start.partition("\n")
    return "jsonl" if first.rstrip().endswith("}") and rest.strip() else "karpathy"


def decoded(data: bytes, path: Path) -> str:
    """UTF-8 text, a byte order mark taken off. Raises DataError for other encodings and for NUL characters."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("the manifest is UTF-16", SAVE_AGAIN, Place(str(path)))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"byte {data[error.start]:#04x} is not UTF-8", SAVE_AGAIN, Place(str(path), line)) from None
    if (nul := text.find("\0")) >= 0:
        line = text.count("\n", 0, nul) + 1
        raise DataError("the manifest holds a NUL character", "take it out", Place(str(path), line))
    return text


def parsed(text: str, path: Path, line: int = 1) -> Any:
    """One JSON value; `line` is where it begins."""
    try:
        return json.loads(text, parse_constant=_no_number, object_pairs_hook=_no_key_twice)
    except json.JSONDecodeError as error:
        where = Place(str(path), line + error.lineno - 1, error.colno)
        mend = "write one JSON object a line" if line > 1 or error.msg != "Extra data" else "set data.form to jsonl"
        raise DataError(f"not JSON: {error.msg}", mend, where) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"not plain JSON: {error}", "write the manifest again", Place(str(path), line)) from None


def _no_number(name: str):
    raise ValueError(f"{name} is no number of JSON")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(name for name in names if names.count(name) > 1)!r} twice in one object")
    return made


def _karpathy(text: str, path: Path) -> Rows:
    """Karpathy and Fei-Fei's layout: images[].(filepath/)filename, split, sentences[].raw."""
    whole = parsed(text, path)
    images = whole.get("images") if isinstance(whole, dict) else None
    if not isinstance(images, list) or "annotations" in whole:
        raise DataError("the JSON is not in Karpathy's layout: an object with images[].filename and "
                        "images[].sentences[].raw", "convert it, or set data.form", Place(str(path)))
    for at, image in enumerate(images, 1):
        if isinstance(image, dict):
            folder, name = image.get("filepath"), image.get("filename")
            if isinstance(folder, str) and folder and isinstance(name, str):
                name = f"{folder}/{name}"
            sentences = image.get("sentences")
            if isinstance(sentences, list):
                sentences = [one.get("raw") if isinstance(one, dict) else one for one in sentences]
            image = {"image": name, "caption": sentences, "split": image.get("split")}
        yield at, image


def of_list(text: str, path: Path, kind: Kind = PICTURES) -> Rows:
    """A JSON list of objects with a file and its caption, as ALBEF's."""
    whole = parsed(text, path)
    if not isinstance(whole, list):
        raise DataError(f"the JSON is no list of objects with {kind.file[0]} and caption", "set data.form",
                        Place(str(path)))
    return enumerate(whole, 1)


def of_lines(text: str, path: Path) -> Rows:
    """A JSON object a line."""
    # not splitlines(): a JSON string may hold U+2028 and U+0085
    for line, row in enumerate(text.split("\n"), 1):
        if row.strip():
            yield line, parsed(row, path, line)


def of_csv(text: str, path: Path, wanted: Mapping[str, Sequence[str]] | None = None) -> Rows:
    """A header, then one row a caption; commas, or tabs where the header has tabs.

    wanted  key of a row -> names that its column may have; all but `split` are needed (default: a picture's)
    """
    tab = "\t" in text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if tab else ",", strict=True)
    ragged: list[tuple[int, int]] = []
    line = 1
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        columns = _columns(header, path, wanted or columns_of(PICTURES))
        line = rows.line_num + 1
        for row in rows:
            if row and len(row) != len(header):
                ragged.append((line, len(row)))
            elif row:
                yield line, {name: row[at] for name, at in columns.items()}
            line = rows.line_num + 1
    except csv.Error as error:
        raise DataError(f"the row that begins here is no CSV: {error}", "close its quotes",
                        Place(str(path), line)) from None
    if ragged:
        some = "; ".join(f"line {line}: {fields}" for line, fields in ragged[:5])
        raise DataError(f"{len(ragged)} rows do not have the header's {len(header)} fields "
                        f"({some}{'; ...' if len(ragged) > 5 else ''})",
                        "put captions that hold commas into quotes", Place(str(path), ragged[0][0]))


def columns_of(kind: Kind) -> dict[str, Sequence[str]]:
    """The columns of a table with a file and a caption a row."""
    return {kind.file[0]: kind.file, "caption": CAPTION, "split": ("split",)}


def _columns(header: list[str], path: Path, wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    found = {column: header.index(name) for column, names in wanted.items()
             for name in [next((name for name in names if name in header), None)] if name is not None}
    needed = {column: names for column, names in wanted.items() if column != "split"}
    if not found.keys() >= needed.keys():
        raise DataError(f"the header names the columns {', '.join(header) or '(none)'}; wanted are one of "
                        + " and one of ".join(", ".join(names) for names in needed.values()), "name the columns so",
                        Place(str(path), 1))
    return found


_READ = {"karpathy": _karpathy, "list": of_list, "jsonl": of_lines, "csv": of_csv}


def _records(at: int, fields: Any, kind: Kind, keys: Sequence[str]) -> Iterator[Record]:
    """The record of one entry, and one more for each of its captions that cannot be used."""
    if isinstance(fields, Fault):
        yield Record(at, "", (), fields.split, fields.why)
        return
    if not isinstance(fields, dict):
        yield Record(at, "", (), None, f"{kind_of(fields)} where an object with {kind.file[0]} and caption should be")
        return
    file, captions = _first(fields, kind.file), _first(fields, CAPTION)
    split = fields.get("split")
    split = split.strip() or None if isinstance(split, str) else None
    if not isinstance(file, str) or not file.strip():
        yield Record(at, "", (), split, f"{kind_of(file)} where the {kind.name}'s file name should be")
        return
    if _half_pair(file):
        yield Record(at, "", (), split, "a file name with half a surrogate pair, which is no text")
        return
    captions = captions if isinstance(captions, list) else [captions]
    faults = [fault for fault in map(_fault, captions or [None]) if fault]
    good = tuple(caption.strip() for caption in captions if not _fault(caption))
    if good:
        yield Record(at, file, good, split, more={key: fields.get(key) for key in keys})
    for fault in faults:
        yield Record(at, file, (), split, fault)


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


def kind_of(value: Any) -> str:
    """What a value of JSON is, in words."""
    names = {str: "a text", bool: "true or false", int: "a number", float: "a number", list: "a list",
             dict: "an object", type(None): "nothing"}
    return names[type(value)]
