"""Sources of samples: pure functions of (split, number, epoch, seed)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from vlobjectives.contracts.config import SourceConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.errors import Problem


@dataclass(frozen=True)
class Sample:
    """One sample of a split.

    Attributes:
        values: Column -> value. A picture is uint8, or floats from 0 to 1, [C,H,W] ([F,C,H,W]; tensor or array), which
            the host normalises as its FieldSpec says.
        same: The picture's number: samples with equal `same` show the same picture.
        key: What a person calls it: a file name, an id.
    """

    values: Mapping[str, Any]
    same: int
    key: str = ""


@dataclass(frozen=True)
class UnusableSample:
    """A sample that cannot be used.

    Attributes:
        reason: Why it cannot be used.
        key: What a person calls it: a file name, an id.
    """

    reason: str
    key: str


class Flaw(str):
    """Something wrong with the data, as `Source.problems` finds it; a text that knows what it is about.

    Attributes:
        problem: What, where and a hint; a note (which stops nothing) only where no sample is lost.
        split: The split that loses samples by it. "": it concerns the data as a whole, and no share of bad samples
            excuses it.
        samples: How many samples of the split are lost.
    """

    problem: Problem
    split: str  # type: ignore[assignment]  # nobody splits its text
    samples: int

    def __new__(cls, problem: Problem, split: str = "", samples: int = 0) -> "Flaw":
        made = super().__new__(cls, problem)
        made.problem, made.split, made.samples = problem, split, samples
        return made


@dataclass(frozen=True)
class DataSummary:
    """What a source says of its data as a whole, for `vlobj data`.

    Attributes:
        form: What its files were read as, in words; "" where there are none.
        split_by: How its splits came about, in words; "" where nothing needs to be said.
    """

    form: str = ""
    split_by: str = ""


@dataclass(frozen=True)
class ContrastPair:
    """Two samples that differ in one thing only.

    Attributes:
        left: A sample with the columns `image` and `caption`.
        right: Another, by the same caption template, with the same words but those that differ.
        where: [H,W] bool array, pixels of the object(s) that differ, both sides joined; outside it the two pictures are
            equal.
        spans: Characters of the differing words in left's and in right's caption: two tuples of (first, last+1).
    """

    left: Sample
    right: Sample
    where: Any
    spans: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]


class RetrievalCeiling(Protocol):
    """R@1 of a reader of the descriptions.

    Attributes:
        image_to_text: From a picture to its caption, a share 0..1.
        text_to_image: From a caption to its picture, a share 0..1.
    """

    @property
    def image_to_text(self) -> float: ...
    @property
    def text_to_image(self) -> float: ...


class Source(Configured):
    """Where samples come from.

    Attributes:
        columns: Name -> FieldSpec. Kind `raw` needs a reader, any other kind is a field as it is. `of_caption` marks
            those that the caption is, or that are made of it.
        can: Some of `twins` (`twins(split, kind, count)`), `regions` (sample values `phrases`, `boxes`, `masks`: see
            `alignment`), `oracle` (`oracle(split, numbers)`), `words` (`words(kind)`: those that name a colour, a
            shape), `frames` (clips, whose frames have an order).
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
        """What an evaluation may need: the words of `can` and the names of the columns."""
        return frozenset({*self.can, *self.columns})

    @classmethod
    def described(cls, config: Any) -> Mapping[str, FieldSpec] | None:
        """Return the columns without opening a file, so that a plan needs no data; by default None.

        Args:
            config: Options of the source.

        Returns:
            The `columns`; None where they cannot be known without a file.
        """
        return None

    @classmethod
    def recognised(cls, path: Path, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the options with which it reads a file or folder, for `vlobj data FILE`; by default None.

        Args:
            path: An absolute path; nothing need lie there.
            given: Options that the person has written already.

        Returns:
            The options that are to be added to these, paths absolute; None where the file is meant for another source.

        Raises:
            vlobjectives.errors.DataError: It cannot be read. Told where no other source reads it.
        """
        return None

    @classmethod
    def framed(cls, config: Any, spec: FieldSpec, picture: Any, max_pixels: int) -> Any:
        """Bring a picture (or clip) from outside of the data to the form that a held-out sample has.

        By default the whole of it is squeezed to that shape; override where samples are cut or decoded otherwise.

        Args:
            config: Options of the source.
            spec: The field that the picture is for.
            picture: A path, the bytes of a file, a PIL picture, or uint8 [3,H,W] ([F,3,H,W]), tensor or array.
            max_pixels: The most pixels (height times width) that the picture may have.

        Returns:
            uint8 of `spec`'s shape.

        Raises:
            vlobjectives.pictures.PictureError: It is no picture (or clip) that can be taken.
        """
        from vlobjectives import pictures  # torch's: contracts cost nothing to import

        return pictures.squeezed(picture, spec.shape, max_pixels)

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, `train` among them."""
        return ("train", "val", "test")

    def size(self, split: str) -> int:
        """Return the number of samples in a split; 0 if it has none."""
        raise NotImplementedError

    def summary(self) -> DataSummary:
        """Return what `vlobj data` says of the data as a whole, beside columns and sizes."""
        return DataSummary()

    def sample(self, split: str, number: int, epoch: int, seed: int) -> Sample | UnusableSample:
        """Return a sample as an epoch shows it; the same arguments give the same sample.

        Args:
            split: Name of the split.
            number: Number of the sample, from 0 to `size(split) - 1`.
            epoch: Number of the epoch, from 0.
            seed: The run's seed.
        """
        raise NotImplementedError

    def value(self, split: str, number: int, column: str, epoch: int, seed: int) -> Any | UnusableSample:
        """Return one column of a sample; readers are fitted on it.

        Override it where the column can be had without decoding a picture. The arguments are those of `sample`, with
        the name of the column.
        """
        sample = self.sample(split, number, epoch, seed)
        return sample if isinstance(sample, UnusableSample) else sample.values[column]

    def twins(self, split: str, kind: str, count: int) -> list[ContrastPair]:
        """Return contrast pairs; of a source that `can` twins.

        Args:
            split: Name of the split.
            kind: What differs: a `colour`, a `shape`, or two attributes that are exchanged (`swap`).
            count: How many pairs.
        """
        raise NotImplementedError

    def oracle(self, split: str, numbers: Sequence[int]) -> RetrievalCeiling:
        """Return what a reader of the descriptions scores; of a source that `can` oracle.

        Args:
            split: Name of the split.
            numbers: Numbers of the samples among which is searched.
        """
        raise NotImplementedError

    def words(self, kind: str) -> Sequence[str]:
        """Return the words of its captions that name a `colour`, a `shape`, ...; of a source that `can` words.

        Args:
            kind: What the words name.
        """
        raise NotImplementedError

    def problems(self, thorough: bool = False) -> list[str]:
        """List everything that is wrong with the data, for `check`. Nothing is cut: the host counts.

        Args:
            thorough: False looks whether the first hundred files of a split are there and can be opened, True all.

        Returns:
            Flaws; a plain text is one bad sample of `train`.
        """
        return []

    def offer(self, column: str) -> str:
        """Return the line of a recipe that would give it a column of this name; "" where there is none."""
        return ""

    def digest(self) -> str:
        """Return a hash of what the data is (files and options), for the manifest of a run."""
        raise NotImplementedError
