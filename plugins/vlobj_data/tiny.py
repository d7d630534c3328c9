"""What `--tiny` runs read and how they read it: scenes and a small vocabulary, whatever files the recipe names."""

from typing import Any

FRAMES = 2
PIECES, LENGTH = 512, 34


def scenes(pixels: int, moving: bool = False) -> dict[str, Any]:
    """Options of the source `scenes`: few pictures of so many pixels a side, or clips."""
    options = {"image_size": pixels, "samples": 64, "val": 16, "test": 16, "test_new": 0}
    return options | ({"frames": FRAMES} if moving else {})


def shown(captions: Any, views: Any, whole: int, pixels: int) -> dict[str, Any]:
    """Options of `scenes` for further captions and views of a source; scenes have five captions and are never mirrored.

    whole  pixels a side of the source's own pictures
    """
    from vlobj_data.views import tiny_views

    small = tiny_views(views, whole, pixels) if isinstance(views, dict) else {}
    options: dict[str, Any] = {}
    if small:
        options["views"] = {name: view.model_dump(mode="json", exclude={"flip"}) for name, view in small.items()}
    if (count := getattr(captions, "draw", 1)) > 1:
        options["captions"] = {"draw": min(count, 5)}
    return options


def vocabulary(length: int | None) -> dict[str, Any]:
    """Options of the reader `byte_pair`: few pieces, and no longer a sequence than the recipe's, where that says it."""
    return {"size": PIECES, "length": min(LENGTH, length or LENGTH)}
