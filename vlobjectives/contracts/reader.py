"""Readers turn a column of a source into a field: tokenizers, phrase, concept and answer tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from vlobjectives.contracts.config import ReaderConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.parts import CannotBuild


@dataclass(frozen=True)
class TokenEncoding:
    """A text in pieces: ids without begin and end, and for each its (first, last+1) character in the text.

    words  the number of each piece's word, in order; None: every piece is a word
    """

    ids: list[int]
    spans: list[tuple[int, int]]
    words: list[int] | None = None


class Reader(Configured):
    """Reads one column. What `fit` learned travels in `state` and is saved with the run as fields/NAME.json.

    A constructor that asks for `with` or `of` gets the readers of the fields that the recipe names there, both fitted
    before it: the one whose vocabulary it shares, and the one that reads the same column another way. It may
    ask them for their `spec` alone: a plan knows no more of a reader that is `described`.
    """

    Config: type[ReaderConfig] = ReaderConfig
    paper: ClassVar[str] = ""

    def __init__(self, config: ReaderConfig, **shared: "Reader"):
        self.config = config

    @classmethod
    def described(cls, config: Any) -> FieldSpec | None:
        """Its `spec`, told without opening a file, so that a plan needs no tokenizer; None where that cannot be."""
        return None

    @property
    def spec(self) -> FieldSpec:
        """Known before `fit` too (a byte-pair vocabulary has the size that its recipe fixes)."""
        raise NotImplementedError

    def fit(self, rows: Iterable[Any]) -> None:
        """Learns from the training split's values of the column, in order of number; nothing to learn by default."""

    def read(self, value: Any) -> Any:
        """A row of the field: TokenEncoding for kind tokens (the host adds begin, end and padding and cuts at the
        length),
        a list of ids or of (id, number) for labels, rows [m,W] for vectors, a float for number, a picture as a Sample
        holds it. Raises DataError for a
        value of another kind than it reads: `check` fits and reads the first records."""
        raise NotImplementedError

    def text(self, ids: Sequence[int]) -> str:
        """The text of ids without begin and end; of tokenizers alone (captions that a decoder wrote)."""
        raise self.cannot(f"a {type(self).__name__} gives no text back", "take a tokenizer")

    def state(self) -> Mapping[str, Any]:
        """What was learned, as JSON."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave; a reader so filled is not fitted again."""

    @classmethod
    def restored(cls, config: Any, state: Mapping[str, Any], **shared: "Reader") -> "Reader":
        """The reader that gave this `state`, in a run folder that stands alone. A reader whose constructor opens files
        that Config names puts what it needs of them into `state`, and overrides this to need no file."""
        made = cls(config, **shared)
        made.load(state)
        return made

    def cannot(self, why: str, hint: str = "") -> CannotBuild:
        return CannotBuild(why, hint)
