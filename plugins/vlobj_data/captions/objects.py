"""Objects of a picture as records list them: texts with boxes and outlines, and where a caption speaks of them.

An object is a mapping of

    text          what it is called
    bbox          x, y, width, height, as COCO has it; or in its place
    xyxy          x1, y1, x2, y2, the last two one past
    segmentation  its outline, if known: COCO's polygons, or run lengths {size, counts} that are not compressed
    span          characters (first, last + 1) of the captions that speak of it; left out: wherever the text stands
    size          width and height of the picture that the numbers count in; left out: those of the file
"""

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from vlobj_data.captions.framing import Framing
from vlobj_data.forms.json_layouts import kind_of

Object = Mapping[str, Any]


class ShownObject(NamedTuple):
    """An object as a sample shows it; box: x1, y1, x2, y2 in its pixels, the last two one past."""

    text: str
    box: tuple[float, float, float, float]


class PhraseSpan(NamedTuple):
    """A phrase of a caption: its characters `first` to `end` - 1, in small letters."""

    text: str
    first: int
    end: int


def object_fault(name: str, held: Any) -> str:
    """Why what stands in a record is no list of objects; empty if it is one."""
    if not isinstance(held, list):
        return f"{kind_of(held)} where {name}, a list of objects with text and bbox, should be"
    for number, one in enumerate(held, 1):
        if why := _fault(one):
            return f"{name}: object {number} {why}"
    return ""


def _fault(one: Any) -> str:
    if not isinstance(one, dict):
        return f"is {kind_of(one)}, no mapping of text and bbox"
    if not isinstance(one.get("text"), str) or not one["text"].strip():
        return "has no text"
    given = [key for key in ("bbox", "xyxy") if one.get(key) is not None]
    if len(given) != 1:
        return "needs a bbox [x, y, width, height] or xyxy [x1, y1, x2, y2], one of them"
    if not _numbers(one[given[0]], 4):
        return f"has a {given[0]} that is not four finite numbers"
    x1, y1, x2, y2 = corners(one)
    if not (x1 <= x2 and y1 <= y2):
        return f"has a {given[0]} that ends before it begins"
    span = one.get("span")
    if span is not None and not (
        _numbers(span, 2) and all(isinstance(at, int) for at in span) and 0 <= span[0] < span[1]
    ):
        return "has a span that is not two whole numbers in order"
    if one.get("size") is not None and not (_numbers(one["size"], 2) and min(one["size"]) > 0):
        return "has a size that is not width and height"
    return _outline_fault(one.get("segmentation"))


def _outline_fault(outline: Any) -> str:
    if not outline:
        return ""
    if isinstance(outline, list):
        good = all(_numbers(ring) and len(ring) >= 6 and len(ring) % 2 == 0 for ring in outline)
        return "" if good else "has a segmentation that is not polygons [x, y, x, y, x, y, ...]"
    if not isinstance(outline, dict) or not _numbers(outline.get("size"), 2):
        return "has a segmentation that is neither polygons nor run lengths {size, counts}"
    if isinstance(outline.get("counts"), str):
        return "has compressed run lengths: write them as numbers, or as polygons"
    runs: Any = outline.get("counts")
    good = _numbers(runs) and all(isinstance(run, int) and run >= 0 for run in runs)
    if not good or sum(runs) != math.prod(outline["size"]):
        return "has run lengths that do not sum to height times width"
    return ""


def is_span(value: Any) -> bool:
    """Whether a value is characters (first, last + 1)."""
    return _numbers(value, 2) and all(isinstance(at, int) for at in value) and 0 <= value[0] < value[1]


def _numbers(value: Any, count: int | None = None) -> bool:
    return (
        isinstance(value, list)
        and (count is None or len(value) == count)
        and all(isinstance(one, int | float) and not isinstance(one, bool) and abs(one) < 1e9 for one in value)
    )


def corners(one: Object) -> tuple[float, float, float, float]:
    if one.get("xyxy") is not None:
        return tuple(one["xyxy"])
    x, y, wide, high = one["bbox"]
    return x, y, x + wide, y + high


def shown(objects: Sequence[Object], framing: Framing) -> list[ShownObject]:
    """The objects that are to be seen, in their order."""
    placed = ((one["text"], _box(one, framing)) for one in objects)
    return [ShownObject(text, box) for text, box in placed if box]


def regions(
    objects: Sequence[Object], caption: str, framing: Framing
) -> tuple[list[PhraseSpan], np.ndarray, np.ndarray]:
    """Phrases of a caption with the region of each, in the caption's order: what `Source.can` calls regions.

    A phrase of several objects has the smallest box that holds theirs (the protocol of merged boxes) and the union of
    their pixels: those of the outline, without one those of the box. A phrase without an object that is to be seen is
    left out.

    Returns:
        Phrases; boxes float32 [P,4], x1, y1, x2, y2 in pixels of what is shown; masks bool [P,S,S].
    """
    spoken: dict[tuple[int, int], list[tuple[Object, tuple[float, float, float, float]]]] = {}
    for one in objects:
        if box := _box(one, framing):
            for span in _spans(one, caption):
                spoken.setdefault(span, []).append((one, box))
    phrases, boxes, masks = [], [], []
    for first, end in sorted(spoken):
        of = spoken[first, end]
        phrases.append(PhraseSpan(caption[first:end].lower(), first, end))
        edges = np.array([box for _, box in of], dtype=np.float32)
        boxes.append(np.concatenate([edges[:, :2].min(0), edges[:, 2:].max(0)]))
        masks.append(np.logical_or.reduce([_mask(one, box, framing) for one, box in of]))
    side = framing.size
    return (
        phrases,
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(masks, dtype=bool).reshape(-1, side, side),
    )


def _spans(one: Object, caption: str) -> list[tuple[int, int]]:
    """Where a caption speaks of an object."""
    text, span = one["text"].strip(), one.get("span")
    if span is not None:
        first, end = span
        return [(first, end)] if caption[first:end].lower() == text.lower() else []
    found = re.finditer(rf"\b{re.escape(text)}(?:e?s)?\b", caption, re.IGNORECASE)
    return [(match.start(), match.end()) for match in found]


def _scale(one: Object, framing: Framing) -> tuple[float, float]:
    """How many pixels of the file a pixel of the object's own size is, across and down."""
    height, width = framing.whole
    own = one.get("size") or (width, height)
    return width / own[0], height / own[1]


def _box(one: Object, framing: Framing) -> tuple[float, float, float, float] | None:
    """The box in pixels of what is shown; None where less than a pixel is left of it."""
    across, down = _scale(one, framing)
    x1, y1, x2, y2 = corners(one)
    xs = sorted(framing.across(x * across) for x in (x1, x2))
    ys = sorted(framing.down(y * down) for y in (y1, y2))
    (x1, x2), (y1, y2) = ([min(max(edge, 0.0), float(framing.size)) for edge in edges] for edges in (xs, ys))
    return (x1, y1, x2, y2) if x2 - x1 >= 1 and y2 - y1 >= 1 else None


def _mask(one: Object, box: tuple[float, float, float, float], framing: Framing) -> np.ndarray:
    """bool [S,S], the object's pixels in what is shown."""
    outline = one.get("segmentation")
    if isinstance(outline, dict):
        return _of_runs(outline, framing)
    across, down = _scale(one, framing)
    if outline:
        rings = [
            [(framing.across(x * across) - 0.5, framing.down(y * down) - 0.5) for x, y in zip(ring[::2], ring[1::2])]
            for ring in outline
        ]
    else:
        rings = []
    canvas = Image.new("1", (framing.size, framing.size))
    draw = ImageDraw.Draw(canvas)
    for ring in rings:
        draw.polygon(ring, fill=1)
    found = np.array(canvas)
    if not rings:
        x1, y1, x2, y2 = (round(edge) for edge in box)
        found[y1:y2, x1:x2] = True
    return found


def _of_runs(outline: Mapping[str, Any], framing: Framing) -> np.ndarray:
    """Run lengths (column by column, first those outside), looked up at the middle of each pixel that is shown."""
    high, wide = outline["size"]
    ends = np.cumsum([0, *outline["counts"]])
    flat = np.zeros(high * wide, dtype=bool)
    for number, (first, end) in enumerate(pairwise(ends)):
        flat[first:end] = number % 2
    mask = flat.reshape(wide, high).T
    height, width = framing.whole
    rows = np.floor(framing.rows() * high / height).astype(int)
    columns = np.floor(framing.columns() * wide / width).astype(int)
    inside = ((rows >= 0) & (rows < high))[:, None] & ((columns >= 0) & (columns < wide))
    return mask[rows.clip(0, high - 1)[:, None], columns.clip(0, wide - 1)] & inside
