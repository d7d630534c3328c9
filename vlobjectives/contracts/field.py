"""What a field of a batch is: its kind, shape, vocabulary and normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vlobjectives.errors import PluginError

Kind = Literal["picture", "tokens", "labels", "vectors", "number", "raw"]
HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class FieldSpec:
    """A field, before any data is seen.

    kind        picture: floats [C,H,W] or [F,C,H,W]; tokens: ids, joined into a sequence; labels: a set of ids
                with a number each; vectors: a few vectors of the same width; number: one float;
                raw: needs a reader and never reaches a batch
    shape       of one sample: (C,H,W), (F,C,H,W), (L,) with begin and end counted, (M,) labels at most,
                (M,W) vectors at most and their width, ()
    vocabulary  rows that an embedding (or a classifier) of this field needs
    ids         (first, how many) ids that this field owns in a table it shares; None: all of `vocabulary`
    special     ids by role: begin, end, pad, mask, unknown
    share       each label's part of the training labels, for the chance level; empty if unknown
    mean, std   of pictures, a number a channel on the scale 0..1: the host takes the mean off uint8 and floats (0..1)
                alike and divides by std before anybody sees the batch. Floats of any other scale say mean 0 and std 1.
                Of other kinds nothing is normalised
    of_caption  of a source's column: made of the caption (its text, its phrases, what lies at them). A picture's input
                that read it would be handed the answer, so `check` refuses one, whatever reader stands between
    """

    kind: Kind
    shape: tuple[int, ...] = ()
    vocabulary: int = 0
    ids: tuple[int, int] | None = None
    special: Mapping[str, int] = field(default_factory=dict)
    share: tuple[float, ...] = ()
    mean: tuple[float, ...] = HALF
    std: tuple[float, ...] = HALF
    of_caption: bool = False

    def __post_init__(self) -> None:
        """Raises PluginError where mean or std say what the host does not do."""
        if min(self.std) <= 0:
            raise PluginError("FieldSpec.std is what is divided by", "give numbers over 0")
        for name, given in (("mean", self.mean), ("std", self.std)):
            if self.kind != "picture" and tuple(given) != HALF:
                raise PluginError(
                    f"FieldSpec.{name} is of pictures: nothing of kind {self.kind} is normalised",
                    "let the source or reader normalise, and leave it out",
                )
            channels = self.shape[-3] if self.kind == "picture" and len(self.shape) > 2 else len(given)
            if len(given) != channels and len(set(given)) == 1:
                object.__setattr__(self, name, (given[0],) * channels)
            elif len(given) != channels:
                raise PluginError(
                    f"FieldSpec.{name} has {len(given)} numbers for {channels} channels", "give one for each channel"
                )

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of what patches divide; None of other kinds."""
        return (self.shape[-2], self.shape[-1]) if self.kind == "picture" and len(self.shape) > 1 else None

    @property
    def frames(self) -> int:
        """Frames of a clip; 1 for anything else."""
        return self.shape[0] if self.kind == "picture" and len(self.shape) == 4 else 1
