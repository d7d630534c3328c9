"""The concepts of one value of a column: a caption, or a caption with phrases that were found elsewhere."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from vlobj_mvptr.chunker.concepts import Concept, concepts
from vlobj_mvptr.chunker.places import placed
from vlobjectives.errors import DataError


def found(value: str | Mapping[str, Any]) -> Sequence[Concept]:
    """Concepts in order, each once. `value` is a caption, which is chunked, or what a column `phrases` holds: a
    mapping of `caption` and `phrases`, lists of one to three strings. Raises DataError for anything else."""
    if isinstance(value, str):
        return concepts(value)
    if isinstance(value, Mapping) and {"caption", "phrases"} <= value.keys():
        once = dict.fromkeys(tuple(phrase) for phrase in value["phrases"])
        return [placed(value["caption"], phrase) for phrase in once]
    raise DataError(
        f"phrases are read from a caption, or from a caption and its phrases, not from {value!r:.40}",
        "`of: caption`, or a source whose column `phrases` holds both",
    )


def captions(rows: Iterable[Any]) -> Iterator[Any]:
    """The values of a column; a row is one caption or a list of them."""
    for row in rows:
        yield from row if isinstance(row, list) else [row]


@runtime_checkable
class PlacesPhrases(Protocol):
    """A reader of phrases that tells where each stands in its caption; at most `most` a caption."""

    @property
    def most(self) -> int: ...

    def placed(self, value: str | Mapping[str, Any]) -> Sequence[tuple[int, Sequence[tuple[int, int]]]]:
        """For each phrase its id and the spans (first, last+1) of characters that it covers."""
        ...


@runtime_checkable
class KnowsPhrases(Protocol):
    """A reader that knows some phrases and not others."""

    def knows(self, words: Any) -> bool: ...
