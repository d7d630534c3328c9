"""What rows call the file, the caption and the split: names that are known, or those that `data.keys` says."""

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

from vlobj_data.forms.asked import CAPTION, FILE, Asked, LayoutFault, Rows
from vlobj_data.forms.manifest import Manifest
from vlobjectives.errors import DataError

LOOKED_AT = 100


def named(rows: Callable[[Manifest, Asked], Rows]) -> Callable[[Manifest, Asked], Rows]:
    """A reader of rows whose objects have the names that records are made of."""

    def made(manifest: Manifest, asked: Asked) -> Rows:
        refuse_unknown(manifest, asked)
        found = rows(manifest, asked)
        return _renamed(found, asked) if asked.keys else _known(found, manifest, asked)

    return made


def refuse_unknown(manifest: Manifest, asked: Asked) -> None:
    """Raises DataError where `data.keys` names what is not read, or gives numbers where there are no columns."""
    known = (asked.kind.file[0], "caption", "split", *asked.more)
    for key in asked.keys:
        if key not in known:
            raise DataError(
                f"data.keys names '{key}', which is none of {', '.join(known)}",
                f"data.keys: {{{known[0]}: NAME, caption: NAME}} says under which names they lie",
                manifest.place(),
            )
    if manifest.form not in ("csv", "cc3m") and any(
        isinstance(name, int) for names in asked.keys.values() for name in names
    ):
        raise DataError(
            f"data.keys gives numbers, which count the columns of a table, and this is {manifest.form}",
            "write the names of its keys there",
            manifest.place(),
        )


def refuse_keys(manifest: Manifest) -> None:
    """Raises DataError where `data.keys` cannot be meant."""
    raise DataError(
        f"data.keys is for tables, lists and JSON lines, and this is {manifest.form}, whose keys are known",
        "leave data.keys out, or set data.form to csv, list or jsonl if it is one",
        manifest.place(),
    )


def _renamed(rows: Rows, asked: Asked) -> Rows:
    """Rows under the names that records are made of; what they lack makes a row that cannot be used."""
    (file, *_), keys = asked.kind.file, asked.keys
    for at, row in rows:
        if not isinstance(row, dict):
            yield at, row
            continue
        made = {name: value for name, value in row.items() if not _replaced(name, asked)}
        for key, names in keys.items():
            values = [value_at(row, str(name)) for name in names]
            if key == "caption" and len(names) > 1:
                made[key] = list(chain.from_iterable(one if isinstance(one, list) else [one] for one in values))
            elif values[0] is not None:
                made[key] = values[0]
        if file in keys and file not in made:
            split = made.get("split")
            there = ", ".join(row) or "none"
            yield (
                at,
                LayoutFault(
                    f"no {asked.kind.name}'s file name under {keys[file][0]}: its keys are {there}",
                    split if isinstance(split, str) else None,
                ),
            )
        else:
            yield at, made


def _replaced(name: str, asked: Asked) -> bool:
    """Whether `data.keys` says what is read in place of a key that is known."""
    first = asked.kind.file[0]
    return (
        name in asked.keys
        or (first in asked.keys and name in asked.kind.file)
        or ("caption" in asked.keys and name in CAPTION)
    )


def value_at(row: Any, name: str) -> Any:
    """What stands under a key, or under `a.b` within an object; of a list what stands there in each. None: nothing."""
    if isinstance(row, list):
        return [value_at(one, name) for one in row]
    if not isinstance(row, dict):
        return None
    if name in row:
        return row[name]
    first, _, rest = name.partition(".")
    return value_at(row[first], rest) if rest and first in row else None


def _known(rows: Rows, manifest: Manifest, asked: Asked) -> Rows:
    """Rows, the first of which have a file and a caption under a known name. Raises DataError where none has."""
    first = list(islice(rows, LOOKED_AT))
    objects = [row for _, row in first if isinstance(row, dict)]
    names = (asked.kind.file, CAPTION)
    if objects and not all(any(key in row for row in objects for key in known) for known in names):
        raise _unknown(objects[0], manifest, asked)
    return chain(first, rows)


def _unknown(row: Mapping[str, Any], manifest: Manifest, asked: Asked) -> DataError:
    """What stops a list of objects that lacks the known keys: its own, and the line that names them."""
    found = dict(guessed(row.items(), asked))
    what = "a JSON list of objects" if manifest.form == "list" else "JSON lines, objects"
    lacks = " and ".join(
        f"{name} ({', '.join(known)})"
        for name, known in ((f"the {asked.kind.name}'s file name", asked.kind.file), ("the caption", CAPTION))
        if not any(key in row for key in known)
    )
    return DataError(
        f"this is {what} with the keys {', '.join(row) or '(none)'}, and none of them is known to hold {lacks}",
        f"say which does: {line(found, asked)}",
        manifest.place(1),
    )


def guessed(cells: Iterator[tuple[str, Any]] | Any, asked: Asked) -> Iterator[tuple[str, str]]:
    """(what it seems to hold, name) of an object's keys: a file name, and the longest text beside it."""
    texts = {name: value for name, value in cells if isinstance(value, str)}
    file = next((name for name in texts if name in asked.kind.file), "") or next(
        (name for name, value in texts.items() if FILE.fullmatch(value.strip())), ""
    )
    rest = {name: value for name, value in texts.items() if name != file}
    caption = next((name for name in rest if name in CAPTION), "") or max(
        rest, key=lambda name: len(rest[name]), default=""
    )
    if file:
        yield asked.kind.file[0], file
    if caption and re.search(r"\s", rest[caption]):
        yield "caption", caption


def line(found: Mapping[str, str | int], asked: Asked) -> str:
    """The line of a recipe that names where things lie; NAME where nobody knows."""
    named = ", ".join(f"{key}: {found.get(key, 'NAME')}" for key in (asked.kind.file[0], "caption"))
    return f"data.keys: {{{named}}}"
