"""Object tags of a picture through the tokenizer of its captions."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from vlobjectives import FieldSpec, Length, Reader, ReaderConfig, TokenEncoding
from vlobjectives.errors import DataError


class Tags(Reader):
    """Object tags of a picture, joined by blanks and split into word pieces (MVPTR, arXiv 2201.12596).

    Each name once, in the order of its first mention; which region a name belongs to is not told. Vocabulary and
    special ids are those of the field `with`. The host cuts at `length`.
    """

    paper = "MVPTR, arXiv 2201.12596"

    class Config(ReaderConfig):
        length: Annotated[Length, Field(ge=3)] = Field(
            description="ids a sequence has at most, begin and end counted (published: 20)"
        )
        duplicates: bool = Field(False, description="keep a name as often as it is given (COCO retrieval, published)")

    def __init__(self, config: Config, **shared: Reader):
        super().__init__(config, **shared)
        if "with" not in shared:
            raise self.cannot("tags are read by a caption's tokenizer", "say whose: `with: caption`")
        self._words = shared["with"]
        self._share: tuple[float, ...] = ()

    @property
    def spec(self) -> FieldSpec:
        """After `fit`, `share` holds how often each id was among the training tags' pieces that fit into `length`."""
        return replace(self._words.spec, shape=(self.config.length,), share=self._share)

    def fit(self, rows: Iterable[Sequence[str]]) -> None:
        counts = Counter(number for value in rows for number in self.read(value).ids[: self.config.length - 2])
        self._shares(counts)

    def read(self, value: Sequence[str]) -> TokenEncoding:
        """Raises DataError for a text, whose letters are no names, and for anything else that holds no names."""
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
            raise DataError(
                f"tags are read from a list of names, not from {value!r:.40}", "a source whose column `tags` holds one"
            )
        names = value if self.config.duplicates else dict.fromkeys(value)
        return self._words.read(" ".join(names))

    def state(self) -> Mapping[str, Any]:
        return {"share": {str(number): part for number, part in enumerate(self._share) if part}}

    def load(self, state: Mapping[str, Any]) -> None:
        self._shares({int(number): part for number, part in state["share"].items()}, scale=False)

    def _shares(self, counts: Mapping[int, float], scale: bool = True) -> None:
        total = sum(counts.values()) if scale else 1
        self._share = (
            tuple(counts.get(number, 0) / total for number in range(self._words.spec.vocabulary)) if counts else ()
        )
