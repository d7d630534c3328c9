"""Which word pieces of a caption each of its phrases covers."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vlobj_mvptr.values import PlacesPhrases
from vlobjectives import FieldSpec, Reader, ReaderConfig


class Links(Reader):
    """Matrix of which phrase of a caption covers which of its word pieces, for MVPTR's mask.

    Rows [phrases, pieces] of 0 and 1: phrase p covers a character of word piece j (MVPTR, arXiv 2201.12596).

    Phrases as the field `of` gives them, pieces as the field `with` does, begin not counted, so that piece j stands at
    position 1 + j of the sequence. A phrase that the caption names twice covers both places. Where a caption is cut,
    what lies beyond is covered by nobody. The published file of links was never published with its maker: here two
    spans of characters that overlap.
    """

    paper = "MVPTR, arXiv 2201.12596"
    Config = ReaderConfig

    def __init__(self, config: ReaderConfig, **shared: Reader):
        super().__init__(config, **shared)
        phrases = shared.get("of")
        if not isinstance(phrases, PlacesPhrases):
            raise self.cannot("links lead from phrases, and `of` names no field that reads them", "of: phrases")
        if "with" not in shared:
            raise self.cannot("links lead to a caption's word pieces", "say whose: `with: caption`")
        self._phrases: PlacesPhrases = phrases
        self._words: Reader = shared["with"]

    @property
    def spec(self) -> FieldSpec:
        return FieldSpec("vectors", (self._phrases.most, self._words.spec.shape[0] - 2))

    def read(self, value: str | Mapping[str, Any]) -> Tensor:
        """[m, pieces] for the m phrases of a caption."""
        placed, most = self._phrases.placed(value), self.spec.shape[1]  # it refuses what is no caption
        text = value if isinstance(value, str) else value["caption"]
        pieces = self._words.read(text).spans[:most]
        starts, ends = [first for first, _ in pieces], [last for _, last in pieces]
        rows = [[0.0] * most for _ in placed]
        for row, (_, spans) in zip(rows, placed):
            for first, end in spans:
                for piece in range(bisect_right(ends, first), bisect_left(starts, end)):
                    row[piece] = 1.0
        return torch.tensor(rows).reshape(len(placed), most)
