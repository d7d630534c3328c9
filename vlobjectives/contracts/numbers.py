"""Numbers as recipes and Configs take them, each with bounds.

A slip of the keyboard is refused when the recipe is read, and not built until the memory is full. The bounds lie far
beyond what is trained, and near enough that nothing overflows or never ends. A Config may narrow them, in the type and
not in the default's Field, which pydantic reads first: `frames: Annotated[Frames, Field(le=64)] = 4`.
"""

from typing import Annotated

from pydantic import Field

Width = Annotated[int, Field(ge=1, le=2**16)]
"""Numbers of a vector."""
Depth = Annotated[int, Field(ge=1, le=256)]
"""Blocks or layers one after the other."""
Layer = Annotated[int, Field(ge=0, lt=256)]
"""One of them, from 0."""
Heads = Annotated[int, Field(ge=1, le=1024)]
"""Attention heads; they divide a width."""
Length = Annotated[int, Field(ge=1, le=2**16)]
"""Positions of a sequence, or things that are chosen from one."""
Ids = Annotated[int, Field(ge=1, le=2**24)]
"""Rows of a table of ids."""
Side = Annotated[int, Field(ge=1, le=2**13)]
"""Pixels a side."""
Frames = Annotated[int, Field(ge=1, le=1024)]
"""Frames of a clip."""
Samples = Annotated[int, Field(ge=1, le=10**8)]
"""Samples of a split, or how many of them are taken."""
Batched = Annotated[int, Field(ge=1, le=2**17)]
"""Rows of a step."""
Steps = Annotated[int, Field(ge=1, le=10**9)]
"""Steps of a run."""
Kept = Annotated[int, Field(ge=1, le=1000)]
"""Things that are held at once: beams, checkpoints."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
"""Of randomness; any number of 63 bits will do."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of the whole."""
Ratio = Annotated[float, Field(gt=0, le=256)]
"""A width over another."""
Spread = Annotated[float, Field(ge=0, le=100)]
"""Standard deviation of first weights."""
Epsilon = Annotated[float, Field(gt=0, le=1)]
"""What keeps a division from 0."""
Temperature = Annotated[float, Field(gt=0, le=1000)]
"""What similarities are divided by."""
Rate = Annotated[float, Field(gt=0, le=1e12)]
"""A learning rate."""
Amount = Annotated[float, Field(ge=0, le=1e12)]
"""A weight, a factor, a margin."""
