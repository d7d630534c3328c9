"""The header of a table: which columns hold what, what divides them, and what to write where nobody knows."""

import csv
from collections.abc import Mapping, Sequence

from vlobj_data.forms.asked import CAPTION, FILE, SPLITS, Asked
from vlobj_data.forms.keys import guessed, line
from vlobj_data.forms.manifest import Manifest
from vlobjectives.errors import DataError


class Wanted(dict[str, Sequence[str]]):
    """Key of a row -> names that its column may have, in small letters; those of `optional` may be missing."""

    optional: frozenset[str] = frozenset({"split"})

    def with_more(self, names: Sequence[str]) -> "Wanted":
        """These columns and further ones, which may be missing here: who asks for them says so."""
        made = Wanted(self | {name: (name.lower(),) for name in names})
        made.optional = self.optional | set(names)
        return made


Numbers = Mapping[str, int]
"""Key of a row -> number of its column, from 0; such a table has no header."""


def wanted_of(asked: Asked) -> Wanted:
    """The columns of a table with a file and a caption a row, by the names that are known or `data.keys`."""
    names = Wanted(
        {asked.kind.file[0]: asked.kind.file, "caption": CAPTION, "split": ("split",)}
        | {name: (name.lower(),) for name in asked.more}
    )
    names.optional = frozenset({"split", *asked.more} - asked.keys.keys())
    for key, own in asked.keys.items():
        names[key] = (str(own[0]).strip().lower(),)
        names |= {f"{key} {at}": (str(name).strip().lower(),) for at, name in enumerate(own[1:], 2)}
    return names


def numbers_of(asked: Asked) -> Numbers:
    """The columns that `data.keys` gives by number; empty where it gives names."""
    return {
        key if at == 1 else f"{key} {at}": number - 1
        for key, own in asked.keys.items()
        for at, number in enumerate(own, 1)
        if isinstance(number, int)
    }


def brief(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def header_of(row: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in row]


def delimiter(first: str, wanted: Mapping[str, Sequence[str]], numbers: Numbers) -> str:
    """Tabs where the first line has some; else what divides it into the wanted columns, or into most.

    Without a header it is what leaves file names in the columns by number.
    """
    if "\t" in first:
        return "\t"

    def found(mark: str) -> tuple[int, int]:
        cells = next(csv.reader([first], delimiter=mark), [])
        if numbers:
            return sum(bool(FILE.fullmatch(cells[at].strip())) for at in numbers.values() if at < len(cells)), len(
                cells
            )
        names = header_of(cells)
        return sum(any(name in names for name in known) for known in wanted.values()), len(names)

    return max(",;|", key=found)


def columns(
    header: list[str], manifest: Manifest, wanted: Wanted, mark: str, at_line: int, asked: Asked
) -> dict[str, int]:
    """Where the columns are, the file's first. Raises DataError where they are not all there, once each."""
    found = {
        column: header.index(name)
        for column, names in wanted.items()
        for name in [next((name for name in names if name in header), None)]
        if name is not None
    }
    needed = {column: names for column, names in wanted.items() if column not in wanted.optional}
    if not found.keys() >= needed.keys():
        if not asked.keys and len(header) > 1 and any(FILE.fullmatch(cell) for cell in header):
            raise DataError(
                f"the table has no header: its first line is the row {brief(mark.join(header))!r}",
                _by_number(header, asked),
                manifest.place(at_line),
            )
        raise DataError(
            f"the header names the columns {brief(', '.join(header)) or '(none)'}; wanted are one of "
            + " and one of ".join(", ".join(names) for names in needed.values()),
            _names_so(needed, found, header, manifest, asked),
            manifest.place(at_line),
        )
    if lost := [name for name in asked.more if name not in found]:
        raise DataError(
            f"the header names no column '{lost[0]}', which data.columns asks for: it names {brief(', '.join(header))}",
            f"call it so there; or say which it is: data.keys: {{..., {lost[0]}: NAME}}",
            manifest.place(at_line),
        )
    for column, at in found.items():
        if header.count(header[at]) > 1:
            places = ", ".join(str(place) for place, name in enumerate(header, 1) if name == header[at])
            raise DataError(
                f"the header names the column '{header[at]}' twice (columns {places})",
                "give the one that is not meant another name",
                manifest.place(at_line),
            )
        more = [name for name in wanted[column] if name in header and name != header[at]]
        if more:
            manifest.note(
                f"the column '{header[at]}' is read, and {', '.join(more)} beside it not",
                f"call another one '{wanted[column][0]}' if that is meant",
                at_line,
            )
    if "split" not in found:
        manifest.kin = next((name for name in SPLITS if name in header), "")
    return found


def _by_number(row: list[str], asked: Asked) -> str:
    """The line that says which columns of a table without a header hold what."""
    found = dict(guessed([(str(at), cell) for at, cell in enumerate(row, 1)], asked))
    return f"say which columns hold them, counted from 1: {line(found, asked)}"


def looks_like_json(manifest: Manifest) -> str:
    return (
        "the file holds JSON: give it the extension .json, or .jsonl where each line is an object"
        if manifest.text.lstrip().startswith(("[", "{"))
        else ""
    )


def _names_so(
    needed: Mapping[str, Sequence[str]], found: Mapping[str, int], header: list[str], manifest: Manifest, asked: Asked
) -> str:
    """What to write where the header lacks a column."""
    if known := looks_like_json(manifest):
        return known
    if asked.keys:
        return "correct data.keys: names of the header, or numbers, from 1, where there is none"
    called = "in the header, call the column of " + " and that of ".join(
        f"the {'captions' if column == 'caption' else 'files'} '{names[0]}'"
        for column, names in needed.items()
        if column not in found
    )
    there = {column: header[at] for column, at in found.items()}
    return f"{called}; or say which it is: {line(there, asked)}" if len(header) > 1 else called
