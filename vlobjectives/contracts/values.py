"""What views hold once their passes have run. Frozen; all tensors have the row axis in front."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, TypeVar

from torch import Tensor

from vlobjectives.contracts.batch import Rows
from vlobjectives.contracts.definition import author_line
from vlobjectives.errors import PluginError

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class MaskSample(Rows):
    """What a mask drew for one input.

    Attributes:
        hidden: [B,N] bool, positions that were changed or dropped.
        scored: [B,N] bool, positions that a loss may ask for (bert: also those kept as they were). Of a text's fields
            behind the first some may be hidden and not asked for, since they would give words away.
        index: [B,K] int64, the scored positions, K static; surplus ones are 0.
        index_ok: [B,K] bool, False at surplus ones.
        keep: [B,k] int64, the positions that fill `drop` leaves, in that order; None for other fills.
        ids: [B,N] int64, the changed ids of text; None for pictures.
        fill: How the encoder hides: drop, token, pixels (pictures), mask, bert (text).
    """

    hidden: Tensor
    scored: Tensor
    index: Tensor
    index_ok: Tensor
    keep: Tensor | None = None
    ids: Tensor | None = None
    fill: str = "token"


@dataclass(frozen=True, eq=False)
class Pairs(Rows):
    """Pairs of rows of this process: row r takes picture `image[r]` and caption `text[r]`.

    Attributes:
        image: [R] int64, the row of the batch whose picture is taken.
        text: [R] int64, the row of the batch whose caption is taken.
        anchor: [R] int64, the pair whose picture or caption row r keeps and whose negative it is.
        valid: [R] bool, False where there was no partner.
        matched: [R] bool, rows that the host left matched (`fused(keep=)`); None where the pairing alone speaks.
    """

    image: Tensor
    text: Tensor
    anchor: Tensor
    valid: Tensor
    matched: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Encoded(Rows):
    """Output of an encoder, decoder or one side of a fusion.

    Attributes:
        tokens: [B,N,D], one for each position of the input (text: all ids; picture: patches, frame after frame). Under
            a mask that drops they are the kept positions, in the order of `draw.keep`.
        valid: [B,N] bool, False at padding and at positions that are masked out of attention (`.visible(mask)`).
        cls: [B,F,D], class tokens (text: F = 1, a copy of the first position where the begin token is the class), or
            None.
        pooled: [B,P], or None.
        draw: The input's MaskSample, or None.
        segment: [B,N] int64, the input's; None for pictures.
        special: [B,N] bool, the input's; None for pictures.
        layers: Block number -> [B,N',D], hidden states; only on request.
        maps: Name -> [B,heads,N',M'], attention maps; only on request.
        extra: Name -> outputs that no other pass is fed.
    """

    tokens: Tensor
    valid: Tensor
    cls: Tensor | None = None
    pooled: Tensor | None = None
    draw: MaskSample | None = None
    segment: Tensor | None = None
    special: Tensor | None = None
    layers: Mapping[int, Tensor] = field(default_factory=dict)
    maps: Mapping[str, Tensor] = field(default_factory=dict)
    extra: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Joint(Rows):
    """An input in the joint space.

    Attributes:
        pooled: [B,E], of unit length.
        scale: 0-d, 1/temperature.
        tokens: [B,N,E], on request; else None.
        valid: [B,N] bool, which tokens count; None without tokens.
    """

    pooled: Tensor
    scale: Tensor
    tokens: Tensor | None = None
    valid: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Fused(Rows):
    """Both streams after fusion, R rows.

    Attributes:
        image: The picture's stream.
        text: The text's stream.
        pooled: [R,P], or None.
        pairs: Which pictures and captions the rows are; None for the batch's own pairs.
    """

    image: Encoded
    text: Encoded
    pooled: Tensor | None = None
    pairs: Pairs | None = None


@dataclass(frozen=True, eq=False)
class Term:
    """One term of an objective: a sum over rows, their count and the chance level.

    The host divides by the count over all processes and micro-batches. Where there is nothing to score, total is a
    differentiable zero and count 0.

    Attributes:
        total: 0-d, the sum.
        count: How many went into it: a number, or a 0-d tensor.
        weight: Multiplies the objective's weight; a term of weight 0 is a metric.
        chance: Chance level: the loss of a uniform (unigram) prediction, such as ln N, ln V or the entropy of the
            labels; it may be a 0-d tensor. None where there is none.
    """

    total: Tensor
    count: Tensor | int | float
    weight: float = 1.0
    chance: Tensor | float | None = None


@dataclass(frozen=True, eq=False)
class StepSum:
    """A statistic that is a mean over all rows of an optimiser step, such as the centre of a teacher's outputs.

    Returned by `forward` beside Terms under a name of its own. The host detaches it, adds up totals and counts over
    groups, micro-batches and processes, and gives `after_step` their quotient (0 where the count is 0).

    Attributes:
        total: A tensor of any fixed shape, numbers: the sum over the rows that `forward` saw.
        count: How many went into it: a number, or a 0-d tensor.
    """

    total: Tensor
    count: Tensor | int | float


@dataclass(frozen=True, eq=False)
class StepRows:
    """A statistic that is all rows of an optimiser step, such as the keys that a queue takes in.

    Returned by `forward` beside Terms under a name of its own: the own rows, before `gather`. The host detaches it and
    joins it over groups, micro-batches and processes in the order in which one process with all rows has them
    (micro-batch after micro-batch, in each rank after rank); `after_step` gets [N,...].

    Attributes:
        rows: [n,...], as many on each process.
    """

    rows: Tensor


def widened(value: Rows) -> Any:
    """Return a value whose half-precision floats are float32 once they are read.

    Losses are computed in float32 or wider. What nobody reads is never copied; of a fused view's five tensors a loss
    reads one or two.

    Args:
        value: A view's value.

    Returns:
        The same value, of a subclass of its own class.
    """
    if isinstance(value, _ReadWide):
        return value
    kind: type = type(value)
    wide: Any = object.__new__(_read_wide(kind))
    wide.__dict__.update(value.__dict__)
    return wide


class _ReadWide(Rows):
    """Mixin of frozen dataclasses that widens a field when it is first read."""

    def __getattribute__(self, name: str) -> Any:
        value = object.__getattribute__(self, name)
        if name not in type(self).__dataclass_fields__ or value is None:
            return value
        wide = _wide(value)
        if wide is not value:
            object.__setattr__(self, name, wide)
        return wide


@cache
def _read_wide(kind: type) -> type:
    """A subclass that widens when read, made once for each kind of value.

    Made at run time, since a part of a third party may give a subclass of its own, which the loss must get as such. To
    widen every field when the value is made would keep a float32 copy of all tokens and layers that no loss reads.
    """
    return type(kind.__name__, (_ReadWide, kind), {})


def not_widened(value: Any) -> Any:
    """Return a value as it was before `widened`, with what was read of it in the meantime wide."""
    if isinstance(value, Rows):
        kind = next(cls for cls in type(value).__mro__ if not issubclass(cls, _ReadWide))
        same: Any = object.__new__(kind)
        same.__dict__.update({key: not_widened(item) for key, item in value.__dict__.items()})
        return same
    return value


def _wide(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() and value.itemsize < 4 else value
    if isinstance(value, Rows):
        return widened(value)
    if isinstance(value, Mapping):
        wide = {key: _wide(item) for key, item in value.items()}
        return wide if any(wide[key] is not item for key, item in value.items()) else value
    return value


def not_none(value: T | None, what: str) -> T:
    """Return a value that may be None by its type, but not here.

    It is there by what was asked for: the draw of a masked view, for one.

    Args:
        value: The value.
        what: Its name, as in "there is no ...".

    Returns:
        The value.

    Raises:
        PluginError: It is None; the error stands at the author's line.
    """
    if value is None:
        raise PluginError(f"there is no {what}", "ask for it, or do without where it is None", author_line())
    return value


def only_visible(value: Encoded, draw: MaskSample) -> Encoded:
    """Apply `.visible(mask)`: positions that the draw hides leave `valid`.

    Args:
        value: The output of an encoder, [B,N] positions.
        draw: What the mask drew for its input.

    Returns:
        The same output with another `valid`.
    """
    return replace(value, valid=value.valid & ~draw.hidden)
