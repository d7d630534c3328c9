"""Columns of a sample that are made only when they are asked for."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class Columns(Mapping):
    """Column -> value, made at the first look and kept; pickled as a plain dict.

    Fitting a reader on captions then paints no picture, and training pays for no question.
    """

    def __init__(self, makers: Mapping[str, Callable[[], Any]]):
        self._makers = makers
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __reduce__(self) -> tuple[type[dict[str, Any]], tuple[dict[str, Any]]]:
        return dict, (dict(self),)
