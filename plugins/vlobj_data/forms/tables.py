"""Tables: a header, then one row a caption.

Commas, semicolons, bars or tabs. In CSV a quoted field may hold anything; in a file called .tsv, and in any other with
tabs that is not called .csv, quotation marks are letters, as programs write them that quote nothing.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vlobj_data.forms.asked import CAPTION, FILE, Asked, Rows
from vlobj_data.forms.header import (
    Numbers,
    Wanted,
    brief,
    columns,
    delimiter,
    header_of,
    looks_like_json,
    numbers_of,
    wanted_of,
)
from vlobj_data.forms.keys import refuse_unknown
from vlobj_data.forms.manifest import Manifest
from vlobjectives.errors import DataError

if TYPE_CHECKING:
    from _csv import Reader

SHOWN = 5
MARKS = {
    "\t": "a caption stays on one line and holds no tab; if fields are quoted, call the file .csv",
    **{
        mark: f"put captions that hold {name} into quotes"
        for mark, name in ((",", "commas"), (";", "semicolons"), ("|", "bars"))
    },
}
_COMMAS = re.compile(r'^[^,\n]+,(?:[^",\n][^,\n]*,|"[^"\n]*"[^,"\r\n])', re.MULTILINE)
"""A line whose second field holds a comma without being quoted, or goes on behind a quoted piece."""
QUOTES = (
    "close its quotes: a field that begins with a quotation mark ends with one, and a quotation mark that is a "
    "letter stands twice there; in a .tsv with tabs quotes are letters"
)


def table(manifest: Manifest, asked: Asked) -> Rows:
    """A table with a file and a caption, or several, a row: by its header, or by the numbers that `data.keys` gives."""
    refuse_unknown(manifest, asked)
    captions = ["caption", *(f"caption {at}" for at in range(2, len(asked.keys.get("caption", ())) + 1))]
    for line, row in of_csv(manifest, wanted_of(asked), asked, numbers_of(asked)):
        yield line, row if len(captions) == 1 else {**row, "caption": [row.pop(name) for name in captions]}


def of_csv(
    manifest: Manifest, wanted: Wanted, asked: Asked, numbers: Numbers | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lines and rows. Raises DataError where the file is no such table, at its end too."""
    quoted = manifest.path.suffix.lower() == ".csv"
    first = re.search(r"[^\r\n]*\S[^\r\n]*", manifest.text)
    mark = delimiter(first[0] if first else "", wanted, numbers or {})
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted or mark != "\t" else csv.QUOTE_NONE
    rows = csv.reader(io.StringIO(manifest.text, newline=""), delimiter=mark, quoting=quoting, strict=True)
    try:
        top = next((row for row in rows if row), [])
    except csv.Error as error:
        raise DataError(
            f"the header is no CSV: {error}", looks_like_json(manifest) or QUOTES, manifest.place(1)
        ) from None
    found = dict(numbers) if numbers else columns(header_of(top), manifest, wanted, mark, rows.line_num, asked)
    if numbers:
        _fits(top, found, manifest, rows.line_num)
    two = sorted(found.values()) == [0, 1] and (numbers or len(top) == 2)
    if mark == "," and two and _unquoted(manifest, found, 1 - bool(numbers)):
        yield from _at_first_comma(manifest, sorted(found, key=found.__getitem__), 1 - bool(numbers))
        return
    if numbers:
        rows = csv.reader(io.StringIO(manifest.text, newline=""), delimiter=mark, quoting=quoting, strict=True)
    wrapped = []
    for line, row in _rows(manifest, rows, len(top), found, mark, "first row's" if numbers else "header's"):
        if quoting == csv.QUOTE_NONE and any(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in row.values()):
            wrapped.append(line)
        yield line, row
    if wrapped:
        manifest.note(
            f"{_count(wrapped, 'row has', 'rows have')} a field in quotation marks, which are letters here; "
            "this is the first",
            "nothing, if they are; if fields are quoted, call the file .csv",
            wrapped[0],
        )


def _fits(top: Sequence[str], found: Numbers, manifest: Manifest, line: int) -> None:
    """Raises DataError where a first row lacks columns that `data.keys` counts, or is a header."""
    most = max(found.values()) + 1
    if most > len(top):
        raise DataError(
            f"data.keys names column {most}, and the first row has {len(top)}: {brief(repr(top))}",
            "count columns from 1; if something else divides them, write tabs there",
            manifest.place(line),
        )
    if top[found["caption"]].strip().lower() in CAPTION if "caption" in found else False:
        raise DataError(
            f"data.keys counts columns, and this table has a header: {brief(', '.join(top))}",
            "name its columns in data.keys, or leave data.keys out where their names are known",
            manifest.place(line),
        )


def _unquoted(manifest: Manifest, found: Numbers, skip: int) -> bool:
    """Whether every line is a file, a comma and a caption, and some caption holds a comma without being quoted.

    So are Flickr30k's of CLIP_benchmark, and what people write who quote nothing. `skip` lines are a header; without
    one lines that all have as many commas are of as many columns.
    """
    if next(iter(found.values())) or not _COMMAS.search(manifest.text):
        return False
    commas, counts = False, set()
    for _, text in islice(manifest.numbered(), skip, None):
        file, mark, caption = text.partition(",")
        if not mark or not FILE.fullmatch(file.strip()):
            return False
        commas = commas or ("," in caption and _field(caption.strip()) is None)
        counts.add(text.count(","))
    return commas and bool(skip or len(counts) > 1)


def _field(text: str) -> str | None:
    """What one quoted field says; None where it is none."""
    try:
        cells = next(csv.reader([text], strict=True), [])
    except csv.Error:
        return None
    return cells[0] if len(cells) == 1 and text.startswith('"') else None


def _at_first_comma(manifest: Manifest, names: Sequence[str], skip: int) -> Rows:
    """Rows of a table of two columns whose captions hold commas."""
    for at, text in islice(manifest.numbered(), skip, None):
        file, _, caption = text.partition(",")
        caption = caption.strip()
        field = _field(caption)
        yield at, dict(zip(names, (file, caption if field is None else field)))
    what = "captions hold commas without quotes: a line's file name ends at its first comma"
    manifest.note(what, "nothing, if they do")


def _rows(
    manifest: Manifest, rows: "Reader", width: int, columns: Mapping[str, int], mark: str, whose: str
) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows below the header; those that lost their form stop the reading at its end, all in one error."""
    ragged: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    swallowed: list[tuple[int, int]] = []
    line = rows.line_num + 1
    try:
        for row in rows:
            if not any(map(str.strip, row)):
                pass  # a blank line, also as spreadsheets write it
            elif len(row) != width:
                ragged.append((line, len(row)))
            else:
                if rows.line_num > line and any("\n" in cell.strip() or "\r" in cell.strip() for cell in row):
                    (swallowed if _swallows(row, row[next(iter(columns.values()))], mark) else spans).append(
                        (line, rows.line_num)
                    )
                yield line, {name: row[at] for name, at in columns.items()}
            line = rows.line_num + 1
    except csv.Error as error:
        open_ = rows.line_num > line or "end of data" in str(error)
        what = (
            "a quotation mark that opens in this row does not close"
            if open_
            else f"the row that begins here is no CSV: {error}"
        )
        raise DataError(what, QUOTES, manifest.place(line)) from None
    if swallowed:
        raise DataError(
            f"captions hold rows that should stand by themselves, behind a stray quotation mark "
            f"({_some(f'lines {first} to {last}' for first, last in swallowed)})",
            QUOTES,
            manifest.place(swallowed[0][0]),
        )
    if ragged:
        cut = ragged == [(rows.line_num, ragged[0][1])] and ragged[0][1] < width and manifest.text[-1] not in "\r\n"
        hint = "the file is cut off there: fetch or write it again" if cut else MARKS[mark]
        raise DataError(
            f"{_count(ragged, 'row does', 'rows do')} not have the {whose} {width} fields "
            f"({_some(f'line {line}: {fields}' for line, fields in ragged)})",
            hint,
            manifest.place(ragged[0][0]),
        )
    if spans:
        manifest.note(
            f"{_count(spans, 'caption spans', 'captions span')} several lines "
            f"({_some(f'lines {first} to {last}' for first, last in spans)})",
            "nothing, if they are meant so; else " + QUOTES,
            spans[0][0],
        )


def _count(found: Sequence[Any], one: str, more: str) -> str:
    return f"{len(found)} {one if len(found) == 1 else more}"


def _some(texts: Iterator[str]) -> str:
    listed = list(texts)
    return "; ".join(listed[:SHOWN]) + ("; ..." if len(listed) > SHOWN else "")


def _swallows(row: Sequence[str], file: str, mark: str) -> bool:
    """Whether a cell of several lines holds other rows: one of its pieces is a file name as this row's own is.

    Where file names have no ending, a line with as many pieces as a row of four columns or more has fields.
    """
    ending = Path(file.strip()).suffix.lower()
    for cell in row:
        lines = [line.split(mark) for line in cell.splitlines()]
        if len(lines) < 2:
            continue
        pieces = [piece.strip().strip('"').lower() for line in lines for piece in line]
        if (
            any(FILE.fullmatch(piece) or (piece.endswith(ending) and not re.search(r"\s", piece)) for piece in pieces)
            if ending
            else len(row) > 3 and any(len(line) >= len(row) for line in lines)
        ):
            return True
    return False
