"""Memory that ran out, in words: what was at work, who holds most by the plan, and what to lower."""

import traceback
from collections.abc import Sequence

from vlobjectives.costs import shape_check
from vlobjectives.costs.table import PARTS
from vlobjectives.costs.units import sized
from vlobjectives.data.data_module import DataModule
from vlobjectives.errors import ResourceError
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.runtime import distributed

SHOWN = 3


def exhausted(
    error: BaseException,
    when: str,
    hint: str,
    resolved: Resolved,
    names: Sequence[str],
    step: int = 0,
    made: DataModule | None = None,
    source: str = "",
) -> ResourceError:
    """The error that ends a command with exit 6. Frees what the failed call still holds, to count the plan in it.

    when   what was at work, which "memory ran out" continues
    names  objectives of the step whose holders are named
    source the source of its batch; by default the first
    """
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    traceback.clear_frames(error.__traceback__)
    held = _holders(resolved, names, step, made, source)
    return ResourceError(f"{when}: {reason}" + (f"; of a step the plan gives most to {held}" if held else ""), hint)


def _holders(
    resolved: Resolved,
    names: Sequence[str],
    step: int,
    made: DataModule | None,
    source: str,
) -> str:
    """The largest holders of a shape check; empty where there is no memory for that either."""
    try:
        with distributed.alone():  # the others are not told
            memory = shape_check.build(resolved, made).step(names, step, source or next(iter(resolved.weights))).memory
    except (BuildError, MemoryError, RuntimeError):
        return ""
    return ", ".join(f"{PARTS.get(name, name)} ({sized(size)})" for name, size in memory.largest_holders(SHOWN))
