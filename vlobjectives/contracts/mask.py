"""Masking strategies: which positions of an input are hidden, and which a loss may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.config import MaskConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.noise import Noise
from vlobjectives.contracts.parts import CannotBuild
from vlobjectives.contracts.values import MaskSample
from vlobjectives.contracts.views import Input, View


@dataclass(frozen=True)
class MaskTarget:
    """Where a mask works: an input and its positions.

    Attributes:
        input: Name of the input: `batch[site.input]` is what its encoder gets before any mask.
        positions: N, the number of patches (clips: F*n, frame after frame) or tokens.
        grid: (rows, columns) of a frame's patches; None for text.
        frames: F, the frames of a clip.
        fields: FieldSpecs of the input's fields by name, in order.
        special: Ids by role (begin, end, pad, mask, unknown); empty for pictures.
        vocabulary: The ids that a random replacement may be drawn from are 0..vocabulary-1 less the special ones.
    """

    input: str
    positions: int
    grid: tuple[int, int] | None = None
    frames: int = 1
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    special: Mapping[str, int] = field(default_factory=dict)
    vocabulary: int = 0


class Mask(Configured):
    """A masking strategy. Draws get no gradient and see float32 or wider."""

    Config: type[MaskConfig] = MaskConfig
    paper: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What it asks of an input: `frames`. `check` refuses it where no source has that."""

    WORDS = {"needs": frozenset({"frames"})}
    OWN_WORDS = False

    def __init__(self, config: MaskConfig):
        self.config = config

    @property
    def fill(self) -> str:
        """How encoders hide under this mask: `drop`, `token`, `pixels`, `mask` or `bert`; by default as Config says."""
        fill: str = self.config.fill  # type: ignore[attr-defined]  # a mask whose Config has none overrides this
        return fill

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        """Declare the views that the draw looks at (attentive masking needs the joint space); none by default.

        Args:
            inputs: The recipe's inputs by name, without their own masks.

        Returns:
            The views, by the keyword under which `draw` gets the value of each.
        """
        return {}

    def size(self, site: MaskTarget) -> int:
        """Return K, the most positions that `draw.index` can hold for this site: static, 1 at least."""
        raise NotImplementedError

    def hides(self, site: MaskTarget) -> tuple[int, int]:
        """Return how many positions of a full input are hidden; `check` wants something hidden and something seen.

        Returns:
            (fewest, most); by default (1, `size`).
        """
        return 1, self.size(site)

    def draw(self, noise: Noise, site: MaskTarget, batch: Batch, *args: Any, **views: Any) -> MaskSample:
        """Draw the hidden and the scored positions of every row.

        Args:
            noise: Random numbers of the mask's stream, a row for each sample.
            site: The input and its positions.
            batch: The batch, before any mask; read-only.
            *args: Nothing; an override lists the views that it takes.
            **views: Values of the views that `views` declares, by the same names.
        """
        raise NotImplementedError

    def cannot(self, why: str, hint: str = "") -> CannotBuild:
        """Return the error of what cannot be, for the caller to raise: `raise self.cannot(why, hint)`."""
        return CannotBuild(why, hint)
