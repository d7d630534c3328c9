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
    """A score with its 95 % interval, how many cases it counts, and what knowing nothing would score.

    per_cent  whether the value is a share (printed as per cent) or a plain number (a loss)
    """

    value: float
    chance: float | None
    low: float
    high: float
    n: int
    per_cent: bool = True


class EvaluationContext(Protocol):
    """A trained system on one split, as an evaluation sees it: no gradients, modules in eval mode."""

    split: str
    seed: int
    source: Source
    device: Any

    @property
    def inputs(self) -> Mapping[str, Input]: ...

    @property
    def readers(self) -> Mapping[str, Reader]: ...

    def size(self) -> int:
        """Samples of the split that are evaluated."""

    def sample(self, number: int) -> Sample: ...

    def batch(self, samples: Sequence[Sample], numbers: Sequence[int]) -> Batch:
        """A batch of samples of one's own making; masks draw for these numbers."""

    def batches(self) -> Iterator[Batch]:
        """The split in order of number."""

    def values(
        self,
        views: Mapping[str, View],
        batch: Batch,
        draws: Mapping[str, MaskSample] | None = None,
        pairs: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The views of this batch; `draws` (by mask name) and `pairs` (by pairing name) replace what would be drawn."""

    def losses(self, batch: Batch) -> Mapping[str, Any]:
        """objective/term -> Term for this batch, objectives at weight 0 too."""

    def written(self, name: str, batch: Batch, beams: int = 1) -> list[str]:
        """A text for each picture of the batch by the decoder that objective `name` trains; `beams` 1 is greedy.

        Raises RecipeError where that objective trains none.
        """

    def objective(self, name: str) -> Any:
        """The objective of this name. What an evaluation may call of it is the role that its Config field needs."""

    def spec(self, input: str) -> Spec:
        """What the encoder of an input gives for it: its grid, its fields."""

    def part(self, name: str) -> Any:
        """The part of this name, to be called by itself: in the precision of passes, floats given back in float32."""


class Evaluation(Configured):
    """A family of scores.

    Config says what is asked of objectives: `of: Annotated[ObjectiveName, Needs(JudgesPairs)]` (`roles`).

    needs  what it asks of the source beyond samples: what it `can`, or columns; where that hangs on options, a
           constructor sets it
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
        """The views that `run` will ask for, so that `check` can refuse what the model cannot give."""
        return {}

    def run(self, held: EvaluationContext) -> Mapping[str, Score]:
        """Score name (`image_to_text/r1`) -> Score; logged as `evaluation/split/name`."""
        raise NotImplementedError

    def cannot(self, why: str, hint: str = "") -> CannotBuild:
        return CannotBuild(why, hint)


def accuracy(hits: Tensor, chance: float | None) -> Score:
    """A share of hits with its Wilson interval.

    Args:
        hits: [n], each True or False, or a number in 0..1: the share of a tie, or of several right answers.
        chance: The score of a guess that knows nothing, None where there is none.
    """
    from vlobjectives.functional.statistics import wilson_interval

    total, n = hits.double().sum().item(), hits.numel()
    return Score(total / n if n else 0.0, chance, *wilson_interval(total, n), n)
