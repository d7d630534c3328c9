"""Further columns of a manifest: what a record may hold under a key, and what a sample shows of it."""

import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vlobj_data.captions.objects import object_fault
from vlobj_data.captions.roots import Roots
from vlobj_data.forms.asked import Slice
from vlobj_data.forms.json_layouts import kind_of
from vlobj_data.forms.records import Record
from vlobjectives import FieldSpec
from vlobjectives.pictures import PictureError

Bounded = Annotated[int, Field(ge=0, le=2**16)]
Column = Literal["text", "caption", "class", "number", "names", "phrases", "boxes", "image"] | tuple[Bounded, Bounded]
"""What stands under a further key of a record.

text     a text that is not made of the caption (a question), or a list of such, of which training draws one
caption  the same, of a text that says what is to be seen (a long caption, a false one), as the caption does
class    a text or a whole number, which is a text in a sample
number   a number
names    a list of texts
phrases  lists of one to three texts, of the record's one caption
boxes    a list of objects, each a text with a box: see `objects`
image    a further picture's file, below the folders of pictures
(M, W)   at most M vectors of W numbers, as `FILE.safetensors#KEY`
"""
PARSED = ("number", "names", "phrases", "boxes")
"""Columns of which a text (a cell of a table) is read as JSON."""


class Further(NamedTuple):
    """The columns that a recipe declares, and the folder that files of vectors lie in."""

    declared: Mapping[str, Column]
    root: Roots

    def sound(self, record: Record) -> Record:
        """The record with what stands under further keys in its plain form; a fault where that cannot be used."""
        if record.fault or not self.declared:
            return record
        more = {name: _plain(column, record.more[name]) for name, column in self.declared.items()}
        faults = (_fault(name, column, more[name], len(record.captions)) for name, column in self.declared.items())
        why = next((why for why in faults if why), "")
        return record._replace(captions=(), fault=why) if why else record._replace(more=more)

    def value(self, name: str, record: Mapping[str, Any], caption: str, draw: random.Random | None) -> Any:
        """What a sample holds, but of boxes and pictures, which are framed.

        draw  chooses one of several texts; without it the first is shown

        Raises PathError and PictureError where a file cannot be used.
        """
        column, held = self.declared[name], record[name]
        if column in ("text", "caption"):
            return held if isinstance(held, str) else draw.choice(held) if draw else held[0]
        if column == "phrases":
            return {"caption": caption, "phrases": held}
        if isinstance(column, tuple):
            return _vectors(self.root(held.rpartition("#")[0]), held, column)
        return held

    def of(self, *kinds: str) -> list[str]:
        """The columns of these kinds."""
        return [name for name, column in self.declared.items() if column in kinds]


def specs(declared: Mapping[str, Column], picture: FieldSpec) -> dict[str, FieldSpec]:
    """What the columns are, which hangs on no file; further pictures are as the first one."""
    special = {"number": FieldSpec("number"), "image": picture}
    return {
        name: FieldSpec("vectors", column)
        if isinstance(column, tuple)
        else special.get(column, FieldSpec("raw", of_caption=column in ("caption", "phrases", "boxes")))
        for name, column in declared.items()
    }


def texts(held: Any) -> Sequence[str]:
    """All texts of a column of texts."""
    return (held,) if isinstance(held, str) else held


def _plain(column: Column, held: Any) -> Any:
    """What stands in a record as a sample has it: texts without blanks at their ends, classes as texts, cells read."""
    if column in PARSED and isinstance(held, str):
        try:
            held = json.loads(held)
        except (ValueError, RecursionError):
            return held
    if column == "class" and isinstance(held, int) and not isinstance(held, bool):
        return str(held)
    if column == "number" and isinstance(held, int | float) and not isinstance(held, bool):
        return float(held) if abs(held) < 1e300 else math.inf
    if column in ("text", "caption") and isinstance(held, list):
        return [one.strip() if isinstance(one, str) else one for one in held]
    return held.strip() if column in ("text", "caption", "class") and isinstance(held, str) else held


def _fault(name: str, column: Column, held: Any, captions: int) -> str:
    """Why what stands in a record cannot be used; empty if it can."""
    if held is None:
        return f"no {name}, which data.columns names"
    if column == "phrases" and captions > 1:
        return f"{name} of {captions} captions: give each caption a record of its own"
    if column == "boxes":
        return object_fault(name, held)
    good, wanted = {
        "text": (_is_text(held) or (_texts(held) and bool(held)), "a text or a list of texts"),
        "caption": (_is_text(held) or (_texts(held) and bool(held)), "a text or a list of texts"),
        "class": (_is_text(held), "a class (a text or a whole number)"),
        "number": (isinstance(held, float) and math.isfinite(held), "a finite number"),
        "names": (_texts(held), "a list of texts"),
        "phrases": (
            isinstance(held, list) and all(_texts(phrase) and 1 <= len(phrase) <= 3 for phrase in held),
            "lists of one to three texts",
        ),
        "image": (_is_text(held) or isinstance(held, Slice), "a picture's file name"),
    }.get(
        column if isinstance(column, str) else "",
        (isinstance(held, str) and all(part.strip() for part in held.rpartition("#")), "FILE.safetensors#KEY"),
    )
    return "" if good else f"{_said(held)} where {name}, {wanted}, should be"


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and _encodes(value)


def _encodes(text: str) -> bool:
    """Whether a text has no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _said(value: Any) -> str:
    if value == "":
        return "an empty text"
    return "a list of other things" if isinstance(value, list) else kind_of(value)


def _vectors(path: Path, held: str, shape: tuple[int, int]) -> Tensor:
    """The first M of the vectors of a key, float32 [m,W]. `held` is what the manifest calls them."""
    key = held.rpartition("#")[2]
    if not path.is_file():
        raise PictureError(f"has vectors in a file that does not exist: {held}")
    try:
        with safe_open(path, framework="pt") as file:
            if key not in file.keys():  # noqa: SIM118 - the file is no mapping
                raise PictureError(f"has vectors under a key that its file does not hold: {held}")
            found = file.get_slice(key)
            size = found.get_shape()
            if len(size) != 2 or size[1] != shape[1]:
                raise PictureError(f"has vectors {size}, not of width {shape[1]}: {held}")
            vectors = found[: shape[0]].to(torch.float32)
    except (SafetensorError, OSError) as error:
        raise PictureError(f"has vectors in a file that is damaged: {held}: {error}") from error
    if not vectors.isfinite().all():
        raise PictureError(f"has vectors that are not finite: {held}")
    return vectors
