"""Tables of Arrow and Parquet, as Hugging Face's sets are kept, read by pyarrow.

A picture is a value of a column: its bytes, or a struct of `bytes` and `path`, as `datasets` has it. In an Arrow file
that is not compressed these bytes lie as they are, and are read from there like a member of a tar. Parquet, and Arrow
that is compressed, is unpacked once into the cache folder.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from vlobj_data import cache
from vlobj_data.forms.arrow_pictures import Pictures, is_picture
from vlobj_data.forms.asked import CAPTION, SPLITS, Asked, Rows
from vlobj_data.forms.keys import named
from vlobj_data.forms.manifest import Manifest
from vlobj_data.forms.split_names import split_of
from vlobjectives.errors import DataError, Place

MEMBERS = ("jpg", "jpeg", "png", "webp")
"""Columns of pictures in tables that were made of WebDataset's shards."""
UNLIKE_JSON = re.compile("timestamp|date|time|duration|decimal|binary|interval")
"""Types of which JSON has no values."""
BATCH = 2**26
"""Bytes that are unpacked at a time."""
AGAIN = "fetch or write the file again, or leave it out"


def is_arrow(path: Path, head: bytes) -> bool:
    return head.startswith(b"ARROW1") or (path.suffix.lower() == ".arrow" and head.startswith(b"\xff\xff\xff\xff"))


def is_parquet(path: Path, head: bytes) -> bool:
    return head.startswith(b"PAR1")


def opens(path: Path) -> tuple[Path, "hashlib._Hash"]:
    """The file in which the pictures of a table lie as they are, and a hash of the table's bytes.

    Raises DataError where it cannot be read, ResourceError where it cannot be unpacked.
    """
    with _as_data_error(path), path.open("rb") as file:
        parquet = is_parquet(path, file.read(4))
    container = path
    if parquet or not _lies_plain(path):
        unpacked = cache.folder() / "arrow" / f"{cache.identity(path)}.arrow"
        container = cache.made_once(unpacked, partial(_unpack, path, parquet))
    return container, hashlib.sha256(cache.remembered("hashes", path, partial(_sha256, path)).encode())


def table(manifest: Manifest, asked: Asked) -> Rows:
    """Rows of a table, counted from 1. Raises DataError where it holds no pictures, or no captions under a known name.

    A picture's name is its `path` where that is no other picture's, else the row's: `FOLDER/FILE#ROW`.
    """
    return named(_rows)(manifest, asked) if asked.keys else _rows(manifest, asked)


def _rows(manifest: Manifest, asked: Asked) -> Rows:
    assert manifest.container
    split = split_of(manifest.path)
    batches = _Batches(manifest.container, manifest.path)
    columns = _columns(batches.schema, manifest, asked)
    pictures = [name for name in columns if is_picture(batches.schema.field(name).type)]
    named_so = f"{manifest.path.parent.name}/{manifest.path.name}"
    made = {name: Pictures(batches.base, named_so, batches, name) for name in pictures}
    classes = _classes(batches.schema)
    at = 0
    for batch in batches:
        values = {
            name: made[name].of(batch.column(name), at) if name in made else _values(batch.column(name), classes, name)
            for name in columns
        }
        for number in range(batch.num_rows):
            at += 1
            row = {name: value[number] for name, value in values.items()}
            if columns[0] not in asked.kind.file:
                row["image"] = row[columns[0]]
            if split:
                row.setdefault("split", split)
            yield at, row


def _values(column: Any, classes: Mapping[str, Sequence[str]], name: str) -> list[Any]:
    """Of a column without pictures, as JSON would hold them: times and the like as texts, classes by their names."""
    values: list[Any] = column.to_pylist()
    if names := classes.get(name):
        return [names[one] if isinstance(one, int) and 0 <= one < len(names) else None for one in values]
    return [None if one is None else str(one) for one in values] if UNLIKE_JSON.search(str(column.type)) else values


def _classes(schema: Any) -> dict[str, Sequence[str]]:
    """Names of the classes of columns, which `datasets` keeps beside the schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: one["names"] for name, one in features.items() if one.get("_type") == "ClassLabel"}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _columns(schema: Any, manifest: Manifest, asked: Asked) -> list[str]:
    """The columns that are read, the picture's first."""
    names: list[str] = schema.names
    wanted = {str(name).partition(".")[0] for of in asked.keys.values() for name in of}
    own = {key: str(of[0]).partition(".")[0] for key, of in asked.keys.items()}
    known = [name for name in (own.get("image"), *asked.kind.file, *MEMBERS) if name in names]
    pictures = known or [name for name in names if is_picture(schema.field(name).type)]
    captions = [name for name in CAPTION if name in names]
    if not pictures or not (captions or own.get("caption") in names):
        lacks = "pictures" if not pictures else "captions"
        said = ", ".join(f"{name} ({_brief(schema.field(name).type)})" for name in names)
        raise DataError(
            f"no column is known to hold {lacks}: the table has {said or 'none'}", _line(schema), manifest.place()
        )
    rest = [name for name in names if name in (*captions, "split", *SPLITS, *asked.more, *wanted)]
    return list(dict.fromkeys([pictures[0], *rest]))


def _line(schema: Any) -> str:
    """The line that names columns: the first of pictures, and those of texts that are called captions, or the first."""
    types = {name: _brief(schema.field(name).type) for name in schema.names}
    image = next((name for name in types if is_picture(schema.field(name).type)), "NAME")
    texts = [name for name, kind in types.items() if kind in ("string", "large_string", "list of string")]
    captions = [name for name in texts if "caption" in name.lower()] or texts[:1] or ["NAME"]
    caption = captions[0] if len(captions) == 1 else f"[{', '.join(captions)}]"
    return f"data.keys: {{image: {image}, caption: {caption}}}"


def _brief(kind: Any) -> str:
    text = str(kind)
    return f"list of {kind.value_type}" if text.startswith(("list<", "large_list<")) else text.partition("<")[0]


class _Batches(Sequence[Any]):
    """The record batches of a mapped Arrow file, each read, and held against its schema, when it is asked for.

    base  the address at which the file is
    """

    def __init__(self, container: Path, path: Path):
        """Raises DataError, which names `path`, where it cannot be read."""
        pa, ipc = pyarrow(path), import_module("pyarrow.ipc")
        self.path = path
        with _as_data_error(path):
            held = pa.memory_map(str(container)).read_buffer()
            self.base = held.address
            if held.slice(0, 6).to_pybytes() == b"ARROW1":
                reader = ipc.open_file(held)
                self._get, self._count = reader.get_batch, reader.num_record_batches
            else:
                reader = ipc.open_stream(held)
                listed = list(reader)
                self._get, self._count = listed.__getitem__, len(listed)
            self.schema = reader.schema
            _names(self.schema)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        if not 0 <= number < self._count:
            raise IndexError(number)
        with _as_data_error(self.path):
            batch = self._get(number)
            batch.validate(full=True)
        return batch


def _names(fields: Iterable[Any]) -> list[str]:
    """All names of fields and of fields within them. Raises UnicodeDecodeError where one is not UTF-8."""
    found = []
    for field in fields:
        kind = field.type
        while hasattr(kind, "value_type"):
            kind = kind.value_type
        inner = [kind.field(number) for number in range(kind.num_fields)] if str(kind)[:6] == "struct" else []
        found += [field.name, *_names(inner)]
    return found


def _lies_plain(path: Path) -> bool:
    """Whether the values of an Arrow file lie in it as they are."""
    batches = _Batches(path, path)
    end = batches.base + path.stat().st_size
    for batch in batches:
        for column in batch.columns:
            for held in column.buffers():
                if held is not None and held.size:
                    return batches.base <= held.address < end
    return True


def _unpack(path: Path, parquet: bool, part: Path) -> None:
    """Writes a table as an Arrow file without compression. Raises DataError for what is wrong with the table."""
    pa, ipc = pyarrow(path), import_module("pyarrow.ipc")
    schema, batches = _of_parquet(path) if parquet else ((held := _Batches(path, path)).schema, iter(held))
    with pa.OSFile(str(part), "wb") as sink, ipc.new_file(sink, schema) as writer:
        while (batch := _next(batches, path)) is not None:
            writer.write_batch(batch)


def _of_parquet(path: Path) -> tuple[Any, Iterator[Any]]:
    """Schema and record batches, of as many rows as have BATCH bytes."""
    with _as_data_error(path):
        file = import_module("pyarrow.parquet").ParquetFile(path)
        about = file.metadata
        size = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        rows = max(1, min(4096, BATCH * about.num_rows // max(size, 1)))
        return file.schema_arrow, file.iter_batches(batch_size=rows)


def _next(batches: Iterator[Any], path: Path) -> Any:
    with _as_data_error(path):
        return next(batches, None)


@contextmanager
def _as_data_error(path: Path) -> Iterator[None]:
    """What pyarrow says of a damaged file, with the file's name."""
    try:
        yield
    except (pyarrow(path).ArrowException, OSError, UnicodeDecodeError) as error:
        why = str(error).partition("\n")[0].rstrip(".")
        raise DataError(f"the table cannot be read: {why}", AGAIN, Place(str(path))) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pyarrow(path: Path) -> Any:
    """The package. Raises DataError where it is not installed."""
    try:
        return import_module("pyarrow")
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError)
        raise DataError(
            f"Arrow and Parquet are read by pyarrow, which {'is not installed' if missing else f'fails: {error}'}",
            "pip install 'vlobjectives[parquet]'",
            Place(str(path)),
        ) from None
