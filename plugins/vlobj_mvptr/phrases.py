"""Phrases of a caption as ids behind the word pieces', in one table."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from vlobj_mvptr.values import captions, found
from vlobjectives import FieldSpec, Ids, Length, PathName, Reader, ReaderConfig, Samples, TokenEncoding
from vlobjectives.errors import DataError

Words = tuple[str, ...]
Span = tuple[int, int]


class Phrases(Reader):
    """Phrase ids of a caption, in one sequence and one table with its word pieces (MVPTR, arXiv 2201.12596).

    A phrase is an object, an object and its attribute, or subject, relation and object, in ground forms. Those in at
    least `least` training captions have an id, the most frequent first: W, W + 1, ... behind the W word pieces of the
    field `with`. With `reuse` an object that is one word piece has that piece's id and embedding, as published. What
    was learned has the form of the published file (a JSON object, id -> its one to three strings), so that one run's
    fields/phrases.json can be another's `file`.

    Phrases keep the order in which the chunker gives them: objects, attributes, relations. `cap: room` lets them fill
    what the caption left of its own length (at most L_t + L_p - 2 less its pieces), as published.
    """

    paper = "MVPTR, arXiv 2201.12596"

    class Config(ReaderConfig):
        length: Length = Field(description="phrases that there is room for beside a full caption (published: 5)")
        size: Ids = Field(4096, description="ids kept for phrases: the most frequent that have no word piece's")
        least: Samples = Field(50, description="training captions that a phrase must be in")
        words: tuple[Literal[1, 2, 3], ...] = Field(
            (1, 2, 3), min_length=1, description="kinds: 1 objects, 2 with an attribute, 3 relations"
        )
        reuse: bool = Field(True, description="an object that is one word piece has that piece's id")
        cap: Literal["room", "length"] = Field(
            "room", description="room: short captions leave their room to phrases; length: never more than `length`"
        )
        file: PathName | None = Field(
            None,
            description="a vocabulary of the published "
            "form, in place of one learned: `size`, `least` and `reuse` are then the file's",
        )

    def __init__(self, config: Config, **shared: Reader):
        super().__init__(config, **shared)
        if "with" not in shared:
            raise self.cannot("phrases stand in one table with a caption's word pieces", "say whose: `with: caption`")
        self._beside = shared["with"]
        self._first = self._beside.spec.vocabulary
        self._ids: dict[Words, int] = {}
        self._size = config.size
        if config.file is not None:
            self._take(self._read_file(config.file))
            self._size = self._extent()

    @property
    def spec(self) -> FieldSpec:
        """`ids`: those of phrases alone, so many as there are once they are known. `special` is the caption's."""
        own = [number for number in self._ids.values() if number >= self._first]
        return FieldSpec(
            "tokens",
            (self.config.length,),
            vocabulary=self._first + self._size,
            ids=(self._first, max(own) - self._first + 1 if own else self._size),
            special=self._beside.spec.special,
        )

    @property
    def most(self) -> int:
        """Phrases that a sequence can hold."""
        spare = self._beside.spec.shape[0] - 2 if self.config.cap == "room" else 0
        return self.config.length + spare

    def fit(self, rows: Iterable[Any]) -> None:
        """Counts phrases over captions; nothing is learned where a file is given, but that it fits `with`.

        Raises DataError where no phrase is in enough captions.
        """
        if self.config.file is not None:
            self._check_reused()
            return
        counts = Counter(
            concept.words
            for value in captions(rows)
            for concept in found(value)
            if len(concept.words) in self.config.words
        )
        self._ids, free = {}, self._first
        for words in sorted(
            (words for words, count in counts.items() if count >= self.config.least),
            key=lambda words: (-counts[words], words),
        ):
            if (piece := self._piece(words)) is not None:
                self._ids[words] = piece
            elif free < self._first + self.config.size:
                self._ids[words], free = free, free + 1
        if not self._ids:
            raise DataError(
                f"no phrase is in {self.config.least} of the training captions",
                "lower `least`, or look at the column that it reads",
            )

    def read(self, value: str | Mapping[str, Any]) -> TokenEncoding:
        """Ids of the phrases with an id; a span reaches from a phrase's first character to its last."""
        known = self.placed(value)
        return TokenEncoding(
            [number for number, _ in known],
            [
                (min(first for first, _ in spans), max(last for _, last in spans)) if spans else (0, 0)
                for _, spans in known
            ],
        )

    def placed(self, value: str | Mapping[str, Any]) -> list[tuple[int, tuple[Span, ...]]]:
        """Id and characters of each phrase, in the order of the sequence."""
        known = [(self._ids[concept.words], concept.spans) for concept in found(value) if concept.words in self._ids]
        return known if self.config.cap == "room" else known[: self.config.length]

    def knows(self, words: Words) -> bool:
        return words in self._ids

    def state(self) -> Mapping[str, Any]:
        return {str(number): list(words) for words, number in self._ids.items()}

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back the ids. Raises DataError where they do not fit `size`."""
        self._take({int(number): tuple(words) for number, words in state.items()})
        if any(number >= self._first + self._size for number in self._ids.values()):
            raise DataError(
                f"the saved phrases have ids beyond {self._first} word pieces and size {self._size}",
                "give the field the size that it was learned with",
            )

    @classmethod
    def restored(cls, config: Config, state: Mapping[str, Any], **shared: Reader) -> Reader:
        """The ids of `file` stand in `state`: the file may be gone."""
        if config.file is None:
            return super().restored(config, state, **shared)
        made = cls(config.model_copy(update={"file": None}), **shared)
        made.config = config
        made._take({int(number): tuple(words) for number, words in state.items()})
        made._size = made._extent()
        return made

    def _extent(self) -> int:
        """Ids beside the word pieces' that the phrases reach over."""
        return max([number - self._first + 1 for number in self._ids.values()] + [1])

    def _take(self, entries: Mapping[int, Words]) -> None:
        self._ids = {words: number for number, words in entries.items() if len(words) in self.config.words}

    def _piece(self, words: Words) -> int | None:
        """The id of the one word piece that a one-word object is, if it is one and may be shared."""
        if not self.config.reuse or len(words) > 1:
            return None
        ids = self._beside.read(words[0]).ids
        return ids[0] if len(ids) == 1 and ids[0] not in self._beside.spec.special.values() else None

    def _read_file(self, path: str) -> dict[int, Words]:
        """Raises CannotBuild where it is not of the published form."""
        try:
            whole = json.loads(Path(path).read_bytes())
        except OSError as error:
            raise self.cannot(f"the phrases of {path} cannot be read: {error.strerror}", "set `file`") from None
        except ValueError as error:
            raise self.cannot(f"{path} is no JSON: {error}", "an object: id -> a list of strings") from None
        if not isinstance(whole, dict):
            raise self.cannot(f"{path} holds no object", "id -> a list of one to three strings")
        for number, words in whole.items():
            if (
                not number.isdecimal()
                or not isinstance(words, list)
                or not 1 <= len(words) <= 3
                or not all(isinstance(word, str) and word for word in words)
            ):
                raise self.cannot(
                    f"{path}: {number!r:.40}: {words!r:.60} is no id with its one to three strings",
                    'such as "30522": ["dog", "brown"]',
                )
        return {int(number): tuple(words) for number, words in whole.items()}

    def _check_reused(self) -> None:
        """Raises DataError where most ids of word pieces are not those of the phrases' words."""
        shared = [(words, number) for words, number in self._ids.items() if number < self._first]
        wrong = [words for words, number in shared if self._beside.read(" ".join(words)).ids != [number]]
        if 2 * len(wrong) > len(shared):
            raise DataError(
                f"{self.config.file} was made with other word pieces: of {len(shared)} phrases with a "
                f"piece's id {len(wrong)} are not that piece, such as '{' '.join(wrong[0])}'",
                "give the caption the tokenizer of that file",
            )
