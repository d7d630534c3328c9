"""Evaluations: held-out scores, each beside its chance and with a 95 % interval."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.config import EvaluationConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.parts import CannotBuild, Spec
from vlobjectives.contracts.reader import Reader
from vlobjectives.contracts.source import Sample, Source
from vlobjectives.contracts.values import MaskSample
from vlobjectives.contracts.views import Input, View


@dataclass(frozen=True)
class Score:
    """A score with its 95 % interval, the number of its cases and its chance level.

    Attributes:
        value: The score.
        chance: Chance level: the score of a guess that knows nothing of the input. None where there is none.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: How many cases the score counts.
        per_cent: Whether the value is a share (printed as per cent) or a plain number (a loss).
    """

    value: float
    chance: float | None
    low: float
    high: float
    n: int
    per_cent: bool = True


class EvaluationContext(Protocol):
    """A trained system on one split, as an evaluation sees it: no gradients, modules in eval mode.

    Attributes:
        split: Name of the split.
        seed: The recipe's seed.
        source: The source of the samples.
        device: The device that batches are on.
        inputs: The recipe's inputs by name.
        readers: The readers of the recipe's fields by name.
    """

    split: str
    seed: int
    source: Source
    device: Any

    @property
    def inputs(self) -> Mapping[str, Input]: ...

    @property
    def readers(self) -> Mapping[str, Reader]: ...

    def size(self) -> int:
        """Return how many samples of the split are evaluated."""

    def sample(self, number: int) -> Sample: ...

    def batch(self, samples: Sequence[Sample], numbers: Sequence[int]) -> Batch:
        """Make a batch of samples of one's own.

        Args:
            samples: The samples.
            numbers: As many numbers, for which masks draw.

        Returns:
            The batch, in the order of `samples`.
        """

    def batches(self) -> Iterator[Batch]:
        """Iterate over the split's batches, in order of the samples' numbers."""

    def values(
        self,
        views: Mapping[str, View],
        batch: Batch,
        draws: Mapping[str, MaskSample] | None = None,
        pairs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Compute the values of views of a batch.

        Args:
            views: The views, by names of the caller's choice.
            batch: The batch.
            draws: Mask name -> what replaces the sample that the mask would draw.
            pairs: Pairing name -> what replaces the pairs that the pairing would choose.

        Returns:
            The views' values by the same names.
        """

    def losses(self, batch: Batch) -> Mapping[str, Any]:
        """Compute the losses of a batch, of objectives at weight 0 too.

        Args:
            batch: The batch.

        Returns:
            `objective/term` -> Term.
        """

    def written(self, name: str, batch: Batch, beams: int = 1) -> list[str]:
        """Generate a text for each picture of a batch, by the decoder that an objective trains.

        Args:
            name: Name of the objective.
            batch: The batch, B pictures.
            beams: Beginnings that are kept while searching; 1 is greedy.

        Returns:
            B texts.

        Raises:
            RecipeError: The objective trains no decoder of texts.
        """

    def objective(self, name: str) -> Any:
        """Return the objective of a name.

        What an evaluation may call of it is the role that its Config field needs.
        """

    def spec(self, input: str) -> Spec:
        """Return the Spec of an input's encoder for that input: its grid, its fields."""

    def part(self, name: str) -> Any:
        """Return the part of a name, to be called by itself.

        It runs in the precision of passes and gives floats back in float32.
        """


class Evaluation(Configured):
    """A family of scores.

    Config says what is asked of objectives: `of: Annotated[ObjectiveName, Needs(JudgesPairs)]` (`roles`).

    Attributes:
        Config: The class of its options.
        paper: The paper that it follows; empty without one.
        needs: What it asks of the source beyond samples: what it `can`, or columns. Where that hangs on options, a
            constructor sets it.
    """

    Config: type[EvaluationConfig] = EvaluationConfig
    paper: ClassVar[str] = ""
    needs: frozenset[str] = frozenset()

    WORDS = {"needs": frozenset()}

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "suits" in vars(cls):
            what = f"{cls.__qualname__}.suits is called no longer: mark what Config names with Needs(ROLE)"
            warnings.warn(what, DeprecationWarning, stacklevel=2)

    def __init__(self, config: EvaluationConfig):
        self.config = config

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        """Declare the views that `run` will ask for, so that `check` can refuse what the model cannot give.

        Args:
            inputs: The recipe's inputs by name.

        Returns:
            The views by name; none by default.
        """
        return {}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        """Compute the scores of a split.

        Args:
            held: The trained system on the split.

        Returns:
            Score name (`image_to_text/r1`) -> Score; logged as `evaluation/split/name`.
        """
        raise NotImplementedError

    def cannot(self, why: str, hint: str = "") -> CannotBuild:
        """Return the error that says why the evaluation cannot be built, to be raised.

        Args:
            why: What does not fit.
            hint: What to change; may be empty.
        """
        return CannotBuild(why, hint)


def accuracy(hits: Tensor, chance: float | None) -> Score:
    """Return a share of hits with its Wilson interval.

    Args:
        hits: [n], each True or False, or a number in 0..1: the share of a tie, or of several right answers.
        chance: Chance level: the score of a guess that knows nothing of the input. None where there is none.

    Returns:
        The share in 0..1 as a Score of n cases; 0 of no cases.
    """
    from vlobjectives.functional.statistics import wilson_interval

    total, n = hits.double().sum().item(), hits.numel()
    return Score(total / n if n else 0.0, chance, *wilson_interval(total, n), n)
