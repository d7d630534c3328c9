"""What `--tiny` runs read and how they read it: scenes and a small vocabulary, whatever files the recipe names."""

from typing import Any

FRAMES = 2
PIECES, LENGTH = 512, 34


def scenes(pixels: int, moving: bool = False) -> dict[str, Any]:
    """Options of the source `scenes`: few pictures of so many pixels a side, or clips."""
    options = {"image_size": pixels, "samples": 64, "val": 16, "test": 16, "test_new": 0}
    return options | ({"frames": FRAMES} if moving else {})


def vocabulary(length: int | None) -> dict[str, Any]:
    """Options of the reader `byte_pair`: few pieces, and no longer a sequence than the recipe's, where that says it."""
    return {"size": PIECES, "length": min(LENGTH, length or LENGTH)}
