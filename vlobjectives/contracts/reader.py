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
    """A text as token ids, with the characters that each token stands for.

    Attributes:
        ids: Token ids, without begin and end.
        spans: For each token its (first, last+1) character in the text.
        words: The number of each token's word, in order; None: every token is a word.
    """

    ids: list[int]
    spans: list[tuple[int, int]]
    words: list[int] | None = None


class Reader(Configured):
    """Reads one column. What `fit` learned travels in `state` and is saved with the run as fields/NAME.json.

    A constructor may ask for readers of other fields, which are fitted before it. It may ask them for their `spec`
    alone: a plan knows no more of a reader that is `described`.

    Args:
        config: Its options.
        **shared: Under `with` and `of`, where the constructor has arguments of these names, the readers of the fields
            that the recipe names there: the one whose vocabulary it shares, and the one that reads the same column
            another way.
    """

    Config: type[ReaderConfig] = ReaderConfig
    paper: ClassVar[str] = ""

    def __init__(self, config: ReaderConfig, **shared: "Reader"):
        self.config = config

    @classmethod
    def described(cls, config: Any) -> FieldSpec | None:
        """Return the `spec` without opening a file, so that a plan needs no tokenizer; by default None.

        Args:
            config: Options of the reader.

        Returns:
            The `spec`; None where it cannot be known without a file.
        """
        return None

    @property
    def spec(self) -> FieldSpec:
        """The field that it gives, before `fit` too: a byte-pair vocabulary has the size that its recipe fixes."""
        raise NotImplementedError

    def fit(self, rows: Iterable[Any]) -> None:
        """Learn from the training split; nothing is learned by default.

        Args:
            rows: The split's values of the column, in order of number.
        """

    def read(self, value: Any) -> Any:
        """Read one value of the column into a row of the field.

        Args:
            value: The value, as a Sample holds it.

        Returns:
            A row of the field, by its kind. `tokens`: a TokenEncoding (the host adds begin, end and padding, and cuts
            at the length). `labels`: a list of ids or of (id, number). `vectors`: rows [m,W]. `number`: a float.
            `picture`: uint8 or floats from 0 to 1, as a Sample holds it.

        Raises:
            DataError: The value is of another kind than it reads. `check` fits and reads the first records.
        """
        raise NotImplementedError

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of ids, such as a caption that a decoder wrote; of tokenizers alone.

        Args:
            ids: Token ids, without begin and end.

        Raises:
            CannotBuild: The reader is no tokenizer.
        """
        raise self.cannot(f"a {type(self).__name__} gives no text back", "take a tokenizer")

    def state(self) -> Mapping[str, Any]:
        """Return what was learned, as a mapping that JSON can hold."""
        return {}

    def load(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; a reader so filled is not fitted again."""

    @classmethod
    def restored(cls, config: Any, state: Mapping[str, Any], **shared: "Reader") -> "Reader":
        """Return the reader that gave this `state`, in a run folder that stands alone.

        A reader whose constructor opens files that Config names puts what it needs of them into `state`, and overrides
        this to need no file.

        Args:
            config: Its options.
            state: What `state` gave.
            **shared: The readers that its constructor asks for, under `with` and `of`.
        """
        made = cls(config, **shared)
        made.load(state)
        return made

    def cannot(self, why: str, hint: str = "") -> CannotBuild:
        """Return the error of what cannot be, for the caller to raise: `raise self.cannot(why, hint)`."""
        return CannotBuild(why, hint)
