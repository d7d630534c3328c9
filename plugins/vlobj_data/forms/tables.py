"""Tables: a header, then one row a caption.

Commas, semicolons, bars or tabs. In CSV a quoted field may hold anything; in a file called .tsv, and in any other with
tabs that is not called .csv, quotation marks are letters, as programs write them that quote nothing.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vlobj_data.forms.manifest import Manifest
from vlobjectives.errors import DataError

if TYPE_CHECKING:
    from _csv import Reader

Wanted = Mapping[str, Sequence[str]]
"""Key of a row -> names that its column may have; all but `split` are needed, the first after it is the caption's."""

FILE = re.compile(r"\S+\.(jpe?g|png|webp|gif|bmp|tiff?|mp4|webm|mkv|avi|mov)(#\d+)?|https?://\S+", re.IGNORECASE)
SPLITS = ("splits", "set", "subset", "partition", "fold", "phase", "split_name")
SHOWN = 5
MARKS = {
    "\t": "a caption stays on one line and holds no tab; if fields are quoted, call the file .csv",
    **{
        mark: f"put captions that hold {name} into quotes"
        for mark, name in ((",", "commas"), (";", "semicolons"), ("|", "bars"))
    },
}
QUOTES = (
    "close its quotes: a field that begins with a quotation mark ends with one, and a quotation mark that is a "
    "letter stands twice there; in a .tsv with tabs quotes are letters"
)


def of_csv(manifest: Manifest, wanted: Wanted) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines and rows. Raises DataError where the file is no such table, at its end too."""
    quoted = manifest.path.suffix.lower() == ".csv"
    first = re.search(r"[^\r\n]*\S[^\r\n]*", manifest.text)
    mark = _delimiter(first[0] if first else "", wanted)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted or mark != "\t" else csv.QUOTE_NONE
    rows = csv.reader(io.StringIO(manifest.text, newline=""), delimiter=mark, quoting=quoting, strict=True)
    try:
        header = _header(next((row for row in rows if row), []))
    except csv.Error as error:
        raise DataError(f"the header is no CSV: {error}", _json(manifest) or QUOTES, manifest.place(1)) from None
    columns = _columns(header, manifest, wanted, mark, rows.line_num)
    wrapped = []
    for line, row in _rows(manifest, rows, len(header), columns, mark):
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


def _rows(
    manifest: Manifest, rows: "Reader", width: int, columns: Mapping[str, int], mark: str
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
            f"{_count(ragged, 'row does', 'rows do')} not have the header's {width} fields "
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


def brief(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def _header(row: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in row]


def _delimiter(first: str, wanted: Wanted) -> str:
    """Tabs where the header has some; else what divides it into the wanted columns, or into most."""
    if "\t" in first:
        return "\t"

    def found(mark: str) -> tuple[int, int]:
        names = _header(next(csv.reader([first], delimiter=mark), []))
        return sum(any(name in names for name in known) for known in wanted.values()), len(names)

    return max(",;|", key=found)


def _columns(header: list[str], manifest: Manifest, wanted: Wanted, mark: str, line: int) -> dict[str, int]:
    """Where the columns are, the file's first. Raises DataError where they are not all there, once each."""
    found = {
        column: header.index(name)
        for column, names in wanted.items()
        for name in [next((name for name in names if name in header), None)]
        if name is not None
    }
    needed = {column: names for column, names in wanted.items() if column != "split"}
    if not found.keys() >= needed.keys():
        if len(header) > 1 and any(FILE.fullmatch(cell) for cell in header):
            raise DataError(
                f"the table has no header: its first line is the row {brief(mark.join(header))!r}",
                _header_for(header, needed, manifest, mark),
                manifest.place(line),
            )
        raise DataError(
            f"the header names the columns {brief(', '.join(header)) or '(none)'}; wanted are one of "
            + " and one of ".join(", ".join(names) for names in needed.values()),
            _names_so(needed, found, manifest),
            manifest.place(line),
        )
    for column, at in found.items():
        if header.count(header[at]) > 1:
            places = ", ".join(str(place) for place, name in enumerate(header, 1) if name == header[at])
            raise DataError(
                f"the header names the column '{header[at]}' twice (columns {places})",
                "give the one that is not meant another name",
                manifest.place(line),
            )
        more = [name for name in wanted[column] if name in header and name != header[at]]
        if more:
            manifest.note(
                f"the column '{header[at]}' is read, and {', '.join(more)} beside it not",
                f"call another one '{wanted[column][0]}' if that is meant",
                line,
            )
    if "split" not in found:
        manifest.kin = next((name for name in SPLITS if name in header), "")
    return found


def _header_for(row: list[str], needed: Wanted, manifest: Manifest, mark: str) -> str:
    """How to put a header before a table whose first line is a row: the longest text is taken for the caption."""
    names = [next(iter(needed)) if FILE.fullmatch(cell) else "" for cell in row]
    longest = max((at for at, name in enumerate(names) if not name), key=lambda at: len(row[at]), default=-1)
    names = [name or ("caption" if place == longest else f"column{place + 1}") for place, name in enumerate(names)]
    name, new = manifest.path.name, f"with_header{manifest.path.suffix}"
    line = ("\\t" if mark == "\t" else mark).join(names)
    return f"if {', '.join(names)} is what it lists: (printf '{line}\\n'; cat {name}) > {new}; name that file"


def _json(manifest: Manifest) -> str:
    return (
        "the file holds JSON: give it the extension .json, or .jsonl where each line is an object"
        if manifest.text.lstrip().startswith(("[", "{"))
        else ""
    )


def _names_so(needed: Wanted, found: Mapping[str, int], manifest: Manifest) -> str:
    """What to write where the header lacks a column."""
    return _json(manifest) or "in the header, call the column of " + " and that of ".join(
        f"the {'captions' if column == 'caption' else 'files'} '{names[0]}'"
        for column, names in needed.items()
        if column not in found
    )
