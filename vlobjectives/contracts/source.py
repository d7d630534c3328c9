"""Sources of samples: pure functions of (split, number, epoch, seed)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from vlobjectives.contracts.config import SourceConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.errors import Problem


@dataclass(frozen=True)
class Sample:
    """One sample: column -> value. A picture is uint8, or floats from 0 to 1, [C,H,W] ([F,C,H,W]; tensor or array),
    which the host normalises as its FieldSpec says.

    same  the picture's number: samples with equal `same` show the same picture
    key   what a person calls it: a file name, an id
    """

    values: Mapping[str, Any]
    same: int
    key: str = ""


@dataclass(frozen=True)
class UnusableSample:
    """A sample that cannot be used: why, and what a person calls it."""

    reason: str
    key: str


class Flaw(str):
    """Something wrong with the data, as `Source.problems` finds it; a text that knows what it is about.

    problem  what, where and a hint; a note (which stops nothing) only where no sample is lost
    split    the split that loses samples by it; "": it concerns the data as a whole, and no share of bad samples
             excuses it
    samples  how many samples of the split
    """

    problem: Problem
    split: str  # type: ignore[assignment]  # nobody splits its text
    samples: int

    def __new__(cls, problem: Problem, split: str = "", samples: int = 0) -> "Flaw":
        made = super().__new__(cls, problem)
        made.problem, made.split, made.samples = problem, split, samples
        return made


@dataclass(frozen=True)
class ContrastPair:
    """Two samples that differ in one thing only.

    left, right  samples with the columns `image` and `caption`; same caption template, same words but the differing
    where        [H,W] bool array, pixels of the object(s) that differ, both sides joined; outside it the two
                 pictures are equal
    spans        characters of the differing words in left's and in right's caption: two tuples of (first, last+1)
    """

    left: Sample
    right: Sample
    where: Any
    spans: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]


class RetrievalCeiling(Protocol):
    """R@1 of a reader of the descriptions, each a share 0..1."""

    @property
    def image_to_text(self) -> float: ...
    @property
    def text_to_image(self) -> float: ...


class Source(Configured):
    """Where samples come from.

    columns  name -> FieldSpec; kind `raw` needs a reader, any other kind is a field as it is; `of_caption` marks
             those that the caption is, or that are made of it
    can      of: twins (`twins(split, kind, count)`), regions (sample values `phrases`, `boxes`, `masks`: see
             `alignment`), oracle (`oracle(split, numbers)`), words (`words(kind)`: those that name a colour, a shape),
             frames (clips, whose frames have an order)

    """

    Config: type[SourceConfig] = SourceConfig
    paper: ClassVar[str] = ""
    can: frozenset[str] = frozenset()
    columns: Mapping[str, FieldSpec]
    together: int = 1
    """So many consecutive training samples stay side by side in every epoch's order (2: pairs of twins)."""
    settled_epoch: int = 0
    """The first epoch that shows the data as it stays (after a curriculum's start): readers are fitted on it."""

    WORDS = {"can": frozenset({"twins", "regions", "oracle", "words", "frames"})}

    def __init__(self, config: SourceConfig):
        self.config = config

    @property
    def has(self) -> frozenset[str]:
        """What an evaluation may need: what the source `can`, and its columns."""
        return frozenset({*self.can, *self.columns})

    @classmethod
    def described(cls, config: Any) -> Mapping[str, FieldSpec] | None:
        """The columns, told without opening a file, so that a plan needs no data; None where that cannot be."""
        return None

    @classmethod
    def framed(cls, config: Any, spec: FieldSpec, picture: Any, max_pixels: int) -> Any:
        """A picture (or clip) that is none of the data, as a held-out sample would show it: uint8 of `spec`'s shape.

        picture  a path, the bytes of a file, a PIL picture, or uint8 [3,H,W] ([F,3,H,W]), tensor or array

        By default the whole of it, squeezed to that shape; override where samples are cut or decoded otherwise. Raises
        `vlobjectives.pictures.PictureError` for what is none.
        """
        from vlobjectives import pictures  # torch's: contracts cost nothing to import

        return pictures.squeezed(picture, spec.shape, max_pixels)

    def splits(self) -> tuple[str, ...]:
        """Names of the splits, `train` among them."""
        return ("train", "val", "test")

    def size(self, split: str) -> int:
        """Samples in a split; 0 if it has none."""
        raise NotImplementedError

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample | UnusableSample:
        """Sample `number` of a split as epoch `epoch` shows it; the same arguments give the same sample."""
        raise NotImplementedError

    def value(self, split: str, number: int, column: str, epoch: int, seed: int) -> Any | UnusableSample:
        """One column of a sample; override where it can be had without decoding a picture (readers are fitted so)."""
        sample = self.sample(split, number, epoch, seed)
        return sample if isinstance(sample, UnusableSample) else sample.values[column]

    def twins(self, split: str, kind: str, count: int) -> list[ContrastPair]:
        """Pairs that differ in a `colour`, a `shape` or in two attributes exchanged (`swap`)."""
        raise NotImplementedError

    def oracle(self, split: str, numbers: Sequence[int]) -> RetrievalCeiling:
        """What a reader of the descriptions scores on these samples; of a source that `can` oracle."""
        raise NotImplementedError

    def words(self, kind: str) -> Sequence[str]:
        """Words of its captions that name a `colour`, a `shape`, ...; of a source that `can` words."""
        raise NotImplementedError

    def problems(self, thorough: bool = False) -> list[str]:
        """Everything that is wrong with the data (`check`), as Flaws; a plain text is one bad sample of `train`.

        The first hundred files of a split are there and can be opened; thorough: all. Nothing is cut: the host counts.
        """
        return []

    def offer(self, column: str) -> str:
        """The line of a recipe that would give it a column of this name; empty where there is none."""
        return ""

    def digest(self) -> str:
        """A hash of what the data is (files and options), for the manifest of a run."""
        raise NotImplementedError
