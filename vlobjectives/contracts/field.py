"""What a field of a batch is: its kind, shape, vocabulary and normalisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from vlobjectives.errors import PluginError

Kind = Literal["picture", "spectrogram", "tokens", "labels", "vectors", "number", "raw"]


class Normalization(NamedTuple):
    """How fields of a kind are normalized.

    Attributes:
        axis: The axis of a FieldSpec's `shape` along which `mean` and `std` have numbers.
        mean: Default of FieldSpec's `mean`.
        std: Default of FieldSpec's `std`.
    """

    axis: int
    mean: float
    std: float


NORMALIZED: Mapping[str, Normalization] = {
    "picture": Normalization(-3, 0.5, 0.5),
    "spectrogram": Normalization(0, 0.0, 1.0),
}
"""Kind -> how the host normalizes its fields; fields of other kinds stay as they are."""


@dataclass(frozen=True)
class FieldSpec:
    """A field, before any data is seen.

    Attributes:
        kind: What a sample of it is. `picture`: floats [C,H,W] or [F,C,H,W]. `spectrogram`: floats [bands,T], cut or
            filled with the mean to T windows. `tokens`: ids, joined into a sequence. `labels`: a set of ids with a
            number each. `vectors`: a few vectors of the same width. `number`: one float. `raw`: needs a reader and
            never reaches a batch.
        shape: Of one sample: (C,H,W), (F,C,H,W), (bands,T), (L,) with begin and end counted, (M,) labels at most, (M,W)
            vectors at most and their width, ().
        vocabulary: Rows that an embedding (or a classifier) of this field needs.
        ids: (first, how many) ids that this field owns in a table that it shares; None: all of `vocabulary`.
        special: Ids by role: begin, end, pad, mask, unknown.
        share: Each label's share of the training labels, for the chance level; empty if unknown.
        mean: Of pictures a number a channel, on the scale 0..1: before anybody sees the batch, the host takes the mean
            off uint8 and floats (0..1) alike and divides by std (both 0.5 where nothing is said). Floats of any other
            scale say mean 0 and std 1. Of spectrograms a number a band, on the scale of what is given (mean 0 and std 1
            where nothing is said). Fields of other kinds are not normalized.
        std: What is divided by, as `mean` says; all over 0.
        of_caption: Whether a source's column is made of the caption (its text, its phrases, what lies at them). A
            picture's input that read it would be handed the answer, so `check` refuses one, whatever reader stands
            between.
    """

    kind: Kind
    shape: tuple[int, ...] = ()
    vocabulary: int = 0
    ids: tuple[int, int] | None = None
    special: Mapping[str, int] = field(default_factory=dict)
    share: tuple[float, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    of_caption: bool = False

    def __post_init__(self) -> None:
        """Check `mean` and `std`, and give each channel its number.

        Raises:
            PluginError: They say what the host does not do.
        """
        if any(divisor <= 0 for divisor in self.std):
            raise PluginError("FieldSpec.std is what is divided by", "give numbers over 0")
        how = NORMALIZED.get(self.kind)
        for name, given in (("mean", self.mean), ("std", self.std)):
            if how is None and given:
                raise PluginError(
                    f"FieldSpec.{name} is of kind {' or '.join(NORMALIZED)}: nothing of kind {self.kind} is normalized",
                    "let the source or reader normalize, and leave it out",
                )
            if how is None:
                continue
            values = given or (getattr(how, name),)
            axes = len(self.shape)
            channels = self.shape[how.axis] if -axes <= how.axis < axes else len(values)
            if len(values) != channels and len(set(values)) > 1:
                raise PluginError(
                    f"FieldSpec.{name} has {len(values)} numbers for {channels} channels", "give one for each channel"
                )
            object.__setattr__(self, name, tuple(values) if len(values) == channels else (values[0],) * channels)

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) in pixels of what patches divide, of a spectrogram (bands, windows); None of other kinds."""
        return (self.shape[-2], self.shape[-1]) if self.kind in NORMALIZED and len(self.shape) > 1 else None

    @property
    def frames(self) -> int:
        """Frames of a clip; 1 for anything else."""
        return self.shape[0] if self.kind == "picture" and len(self.shape) == 4 else 1
