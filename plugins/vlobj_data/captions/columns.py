"""Further columns of a manifest: names, phrases of a caption, vectors that lie in safetensors files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from torch import Tensor

from vlobj_data.captions.roots import Roots
from vlobj_data.forms.json_layouts import kind_of
from vlobjectives import FieldSpec
from vlobjectives.pictures import PictureError

Bounded = Annotated[int, Field(ge=0, le=2**16)]
Column = Literal["names", "phrases"] | tuple[Bounded, Bounded]
"""names: a list of texts; phrases: lists of one to three texts, of the record's one caption; (M, W): at most M vectors
of W numbers, as `FILE.safetensors#KEY`."""


class Further(NamedTuple):
    """The columns that a recipe declares, and the folder that files of vectors lie in."""

    declared: Mapping[str, Column]
    root: Roots

    def fault(self, record: Mapping[str, Any], captions: int) -> str:
        """Why what stands in a record cannot be used; empty if it can."""
        return next(
            (why for name, column in self.declared.items() if (why := _fault(name, column, record[name], captions))), ""
        )

    def value(self, name: str, record: Mapping[str, Any], caption: str) -> Any:
        """What a sample holds: a list of texts, a mapping of the caption and its phrases, or vectors [m,W].

        Raises PathError and PictureError where a file cannot be used.
        """
        column, held = self.declared[name], record[name]
        if column == "names":
            return held
        if column == "phrases":
            return {"caption": caption, "phrases": held}
        return _vectors(self.root(held.rpartition("#")[0]), held, column)


def specs(declared: Mapping[str, Column]) -> dict[str, FieldSpec]:
    """What the columns are, which hangs on no file."""
    return {
        name: FieldSpec("raw", of_caption=column == "phrases")
        if isinstance(column, str)
        else FieldSpec("vectors", column)
        for name, column in declared.items()
    }


def _fault(name: str, column: Column, held: Any, captions: int) -> str:
    if held is None:
        return f"no {name}, which data.columns names"
    if column == "phrases" and captions > 1:
        return f"{name} of {captions} captions: give each caption a record of its own"
    if column == "phrases":
        good = isinstance(held, list) and all(_texts(phrase) and 1 <= len(phrase) <= 3 for phrase in held)
        return "" if good else f"{_said(held)} where {name}, lists of one to three texts, should be"
    if column == "names":
        return "" if _texts(held) else f"{_said(held)} where {name}, a list of texts, should be"
    good = isinstance(held, str) and all(part.strip() for part in held.rpartition("#"))
    return "" if good else f"{_said(held)} where {name}, FILE.safetensors#KEY, should be"


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and text.strip() for text in value)


def _said(value: Any) -> str:
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
