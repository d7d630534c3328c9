"""Byte-level byte-pair encoding, learned from the training captions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from vlobj_data import tiny
from vlobj_data.counting import caption, captions, clean, shares, words
from vlobjectives import FieldSpec, Ids, Length, Reader, ReaderConfig, TokenEncoding, not_none
from vlobjectives.errors import DataError

SPECIAL = {"begin": 0, "pad": 1, "end": 2, "mask": 3}
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())


class BytePair(Reader):
    """Byte-pair tokenizer over UTF-8 bytes, learned from the training captions.

    Byte-pair encoding is that of Sennrich, Haddow and Birch, ACL 2016, section 3.2.

    Every text can be encoded, so there is no unknown id. Ids: 0 begin, 1 padding, 2 end, 3 mask, then the 256
    bytes, then the pieces in the order in which they were learned. `spec.vocabulary` is `size`, even where the
    captions held fewer pairs to merge. Text that spells a special token ("<mask>", "</s>") is text. A word has the
    same pieces at the start of a caption as behind a blank; its span leaves the blank out.

    `with` another field of this reader: its pieces, and its `size` and `lower`, which are then not given.
    """

    class Config(ReaderConfig):
        size: Ids | None = Field(
            None,
            ge=len(SPECIAL) + 256,
            description="ids in all: 4 special ones, 256 bytes, learned pieces; left out `with` another field",
        )
        length: Annotated[Length, Field(ge=3)] = Field(description="ids a sequence has at most, begin and end counted")
        lower: bool = Field(False, description="read text in lower case")

        def tiny(self) -> "BytePair.Config":
            return BytePair.Config(**tiny.vocabulary(getattr(self, "length", None)))

    def __init__(self, config: Config, **shared: Reader):
        super().__init__(config, **shared)
        lender = shared.get("with")
        if lender is not None and not isinstance(lender, BytePair):
            raise self.cannot(
                f"the other field is a {type(lender).__name__} and learns no byte pairs",
                "leave out `with`, or name a field of type byte_pair",
            )
        if lender is None and config.size is None:
            raise self.cannot("a vocabulary of its own needs a size", "size: 512, say; or `with` another field")
        if lender is not None and (config.size is not None or config.lower):
            raise self.cannot(
                "`size` and `lower` are those of the field that it shares a vocabulary with", "leave them out"
            )
        self._lender = lender
        self.size: int = not_none(config.size, "size of its own vocabulary") if lender is None else lender.size
        self.lower: bool = config.lower if lender is None else lender.lower
        self._spec = FieldSpec("tokens", (config.length,), vocabulary=self.size, special=SPECIAL)
        self._fill([])

    @property
    def spec(self) -> FieldSpec:
        """After `fit`, `share` holds how often each id was among the training pieces that fit into `length`."""
        return self._spec

    def fit(self, rows: Iterable[str | list[str]]) -> None:
        """Learns the merges from captions, or takes those of `with`; a row is one caption or a list of captions."""
        texts = captions(rows)
        if not texts:
            raise DataError("no training captions to learn word pieces from", "look at the data's `train` split")
        self._fill(self._lender._learned if self._lender is not None else self._merges(texts))
        self._spec = replace(self._spec, share=shares(self._tokenizer, texts, self.size, self.config.length - 2))

    def _merges(self, texts: list[str]) -> list[tuple[str, str]]:
        trainer = trainers.BpeTrainer(
            vocab_size=self.size - len(SPECIAL), show_progress=False, initial_alphabet=ALPHABET
        )
        self._tokenizer.model = models.BPE()
        self._tokenizer.train_from_iterator(texts, trainer)
        return [tuple(pair) for pair in json.loads(self._tokenizer.to_str())["model"]["merges"]]

    def read(self, value: str) -> TokenEncoding:
        """The pieces of a caption, more than `length` at times; surrogates without a partner are read as U+FFFD."""
        pieces = self._tokenizer.encode(clean(caption(value)[: self._reach]), add_special_tokens=False)
        return TokenEncoding(pieces.ids, pieces.offsets, words(pieces))

    def text(self, ids: Sequence[int]) -> str:
        """What the pieces spell, without the blank in front; bytes that are no text as U+FFFD."""
        pieces = [self._tokenizer.id_to_token(number) for number in ids if number >= len(SPECIAL)]
        return decoders.ByteLevel().decode([piece for piece in pieces if piece is not None]).removeprefix(" ")

    def state(self) -> Mapping[str, Any]:
        return {"merges": [list(pair) for pair in self._learned], "share": list(self._spec.share)}

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back the merges. Raises DataError where they do not fit `size`."""
        merges = [(left, right) for left, right in state["merges"]]
        if len(_vocabulary(merges)) + len(SPECIAL) > self.size:
            raise DataError(
                f"the saved field has more pieces than its size {self.size}",
                "give the field the size that it was learned with",
            )
        self._fill(merges)
        self._spec = replace(self._spec, share=tuple(state["share"]))

    def _fill(self, merges: list[tuple[str, str]]) -> None:
        self._learned = merges
        vocabulary = _vocabulary(merges)
        # The special ids are no words of this tokenizer, so that no text can become one: a blank is no byte's letter.
        # Left out, tokenizers before 0.23 would complain of holes on standard output whenever it is copied.
        special = {f" {number}": number for number in range(len(SPECIAL))}
        self._tokenizer = Tokenizer(models.BPE(vocab=special | vocabulary, merges=merges))
        if self.lower:
            self._tokenizer.normalizer = normalizers.Lowercase()
        self._tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        self._tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
        # No piece holds more characters than this, so what lies beyond can never be within `length`: time is bounded.
        self._reach = self.config.length * max(map(len, vocabulary))


def _vocabulary(merges: list[tuple[str, str]]) -> dict[str, int]:
    """Piece -> id: the bytes, then what the merges make, each once."""
    pieces = dict.fromkeys([*ALPHABET, *(left + right for left, right in merges)])
    return {piece: number for number, piece in enumerate(pieces, len(SPECIAL))}
