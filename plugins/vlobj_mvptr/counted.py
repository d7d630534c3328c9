"""The concepts of a caption as labels: what its picture is to be recognised by."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from vlobj_mvptr.values import KnowsPhrases, captions, found
from vlobjectives import FieldSpec, Ids, Length, Reader, ReaderConfig, Samples
from vlobjectives.errors import DataError

Words = tuple[str, ...]
PUBLISHED_LEAST, PUBLISHED_CAPTIONS = 50, 8e6


class Counted(Reader):
    """Labels from captions: the objects, and objects with an attribute, that a caption mentions.

    T_i, the concepts of caption i that are in the concept vocabulary: targets, never an input.

    The vocabulary holds the objects and the (object, attribute) pairs in at least `least` training captions, by default
    max(5, 50 N / 8e6) of N, the most frequent first. Where `of` names a field of phrases, only phrases that have an id
    there. `share` is u_c, the mean over captions with a concept of 1[c in T_i] / |T_i|: who does not look cannot do
    better than its entropy. A design of this library beside MVPTR (arXiv 2201.12596), whose targets are tags.
    """

    paper = "beside MVPTR, arXiv 2201.12596"

    class Config(ReaderConfig):
        size: Ids = Field(1024, description="concepts at most, and so the rows of a classifier of them")
        least: Samples | None = Field(
            None, description="training captions that a concept must be in; null: max(5, 50 N / 8e6) of N"
        )
        words: tuple[Literal[1, 2, 3], ...] = Field(
            (1, 2), min_length=1, description="kinds: 1 objects, 2 with an attribute, 3 relations"
        )
        stop: tuple[str, ...] = Field((), description="words that no concept may hold")
        most: Length = Field(16, description="concepts of a caption at most: the first")

    def __init__(self, config: Config, **shared: Reader):
        super().__init__(config, **shared)
        phrases = shared.get("of")
        self._knows = phrases.knows if isinstance(phrases, KnowsPhrases) else None
        self._ids: dict[Words, int] = {}
        self._share: tuple[float, ...] = ()

    @property
    def spec(self) -> FieldSpec:
        return FieldSpec("labels", (self.config.most,), vocabulary=self.config.size, share=self._share)

    def fit(self, rows: Iterable[Any]) -> None:
        """Raises DataError where no concept is in enough captions."""
        values = [
            tuple(words for concept in found(value) if self._may(words := concept.words)) for value in captions(rows)
        ]
        least = self.config.least or max(5, PUBLISHED_LEAST * len(values) / PUBLISHED_CAPTIONS)
        counts = Counter(words for concepts in values for words in concepts)
        often = sorted(
            (words for words, count in counts.items() if count >= least), key=lambda words: (-counts[words], words)
        )
        if not often:
            raise DataError(
                f"no concept is in {least:g} of the {len(values)} training captions",
                "lower `least`, or look at the column that it reads",
            )
        self._ids = {words: number for number, words in enumerate(often[: self.config.size])}
        share: dict[int, float] = defaultdict(float)
        targets = [kept for concepts in values if (kept := self._kept(concepts))]
        for kept in targets:
            for number in kept:
                share[number] += 1 / len(kept) / len(targets)
        self._share = tuple(share[number] for number in range(self.config.size))

    def read(self, value: Any) -> list[int]:
        """The labels of a caption; a concept that it names twice is one."""
        return self._kept(concept.words for concept in found(value))

    def state(self) -> Mapping[str, Any]:
        return {"concepts": [list(words) for words in self._ids], "share": list(self._share[: len(self._ids)])}

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back the concepts. Raises DataError where they do not fit `size`."""
        if len(state["concepts"]) > self.config.size:
            raise DataError(
                f"the saved field has {len(state['concepts'])} concepts, more than its size {self.config.size}",
                "give the field the size that it was learned with",
            )
        self._ids = {tuple(words): number for number, words in enumerate(state["concepts"])}
        self._share = tuple(state["share"]) + (0.0,) * (self.config.size - len(self._ids))

    def names(self) -> list[Words]:
        """The concepts in order of their labels."""
        return list(self._ids)

    def _kept(self, concepts: Iterable[Words]) -> list[int]:
        return [self._ids[words] for words in concepts if words in self._ids][: self.config.most]

    def _may(self, words: Words) -> bool:
        """Whether a concept may be learned: of a wanted kind, each word a word, and known to the phrases if asked."""
        return (
            len(words) in self.config.words
            and (self._knows is None or self._knows(words))
            and all(len(word) > 1 and any(map(str.isalpha, word)) and word not in self.config.stop for word in words)
        )
