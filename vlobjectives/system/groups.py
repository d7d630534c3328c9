"""The host's key `group`: an objective sees so many consecutive rows at a time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.values import Fused
from vlobjectives.planning import execute


def pieces(group: int | str, views: Mapping[str, Any], batch: Batch) -> list[dict[str, Any]]:
    """What each call of an objective sees: everything, or its group of consecutive rows."""
    if isinstance(group, str) or group >= batch.size:
        return [{**views, "batch": batch}]
    return [
        {key: _cut(value, start, group, batch.size) for key, value in [*views.items(), ("batch", batch)]}
        for start in range(0, batch.size, group)
    ]


def _cut(value: Any, start: int, group: int, size: int) -> Any:
    """Rows start..start+group of whatever has `size` rows; fused rows of a pairing in proportion."""
    if isinstance(value, Fused) and value.pairs is not None:
        each = value.pairs.image.shape[0] // size
        rows = slice(start * each, (start + group) * each)
        return replace(value.rows(rows), pairs=execute.shifted(value.pairs.rows(rows), -start))
    return value.rows(slice(start, start + group))
