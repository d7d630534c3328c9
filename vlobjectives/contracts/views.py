"""Views: what an objective may look at. Two equal views are one pass; that is the whole sharing rule.

A view names a pass (part, what it is fed, pairing) and carries a reading: what to take from that pass. The reading
is no part of the pass: `encoded(x)` and `encoded(x).layer(3)` are one run of the encoder. What a pass is *fed* is
part of it, readings included: `decoded(q, encoded(x).visible(m))` differs from `decoded(q, encoded(x))`. `.ema()` is
no reading: other weights, another pass.
"""

from dataclasses import dataclass, field, replace
from typing import ClassVar, Self


class ViewError(ValueError):
    """A view that cannot be; `check` prints it at the objective that asked for it."""


@dataclass(frozen=True)
class Input:
    """An input of the recipe: fields of the batch, the encoder that reads them, and the mask that corrupts them."""

    name: str
    part: str
    mask: str | None = None

    def masked(self, mask: str | None) -> "Input":
        """The same input corrupted by that mask of the recipe; None is the input as it is, its own mask included."""
        if mask is None:
            return self
        if self.mask is not None:
            raise ViewError(f"input '{self.name}' is already masked by '{self.mask}' and takes no second mask '{mask}'")
        return replace(self, mask=mask)


@dataclass(frozen=True)
class RequestedOutputs:
    """What to take from a pass: hidden states of layers, attention maps, projected tokens, only visible positions."""

    layers: frozenset[int] = frozenset()
    maps: bool = False
    tokens: bool = False
    visible: str | None = None

    def __or__(self, other: "RequestedOutputs") -> "RequestedOutputs":
        """What a pass must deliver to serve both readings (`visible` is applied afterwards, by each reader)."""
        return RequestedOutputs(self.layers | other.layers, self.maps or other.maps, self.tokens or other.tokens)


@dataclass(frozen=True)
class View:
    """Base of the four kinds. `averaged`: the part runs on the average of its weights over the steps so far."""

    part: str
    reading: RequestedOutputs = field(default=RequestedOutputs(), kw_only=True)
    averaged: bool = field(default=False, kw_only=True)
    feeding: ClassVar[tuple[str, ...]] = ()
    """The fields that hold the views which this pass is fed; None among them is nothing."""

    def layer(self, n: int) -> Self:
        """Adds the hidden state after block n (from 0) as `layers[n]`."""
        return replace(self, reading=replace(self.reading, layers=self.reading.layers | {n}))

    def with_maps(self) -> Self:
        """Adds attention maps; the written-out attention runs, which is slower."""
        return replace(self, reading=replace(self.reading, maps=True))

    def with_tokens(self) -> Self:
        """Adds the projected tokens of a joint view."""
        return replace(self, reading=replace(self.reading, tokens=True))

    def visible(self, mask: str) -> Self:
        """Takes the positions that `mask` hides out of `valid`; what was computed does not change."""
        return replace(self, reading=replace(self.reading, visible=mask))

    def ema(self) -> Self:
        """The same view by averaged weights, this pass's and those of all that it is fed; no gradient reaches it.

        The average is exponential, with the recipe's `run.ema.decay`. To put a live part on an averaged one, call it
        before: `joint(encoded(x).ema())`.
        """
        below = {key: view.ema() for key in self.feeding if (view := getattr(self, key)) is not None}
        return replace(self, averaged=True, **below)

    @property
    def run(self) -> Self:
        """The pass: this view without its reading."""
        return replace(self, reading=RequestedOutputs())

    @property
    def fed(self) -> "tuple[View, ...]":
        """The views that this pass is fed."""
        return tuple(view for key in self.feeding if (view := getattr(self, key)) is not None)


@dataclass(frozen=True)
class EncodedView(View):
    input: Input


@dataclass(frozen=True)
class JointView(View):
    of: EncodedView
    feeding = ("of",)


@dataclass(frozen=True)
class FusedView(View):
    image: View
    text: View
    pairing: str | None = None
    keep: float = 0.0
    feeding = ("image", "text")


@dataclass(frozen=True)
class DecodedView(View):
    query: View
    memory: View | None = None
    feeding = ("query", "memory")


def _view(x: Input | View) -> View:
    return encoded(x) if isinstance(x, Input) else x


def encoded(x: Input, part: str | None = None) -> EncodedView:
    """The output of the input's encoder (or of another encoder `part`): an `Encoded`."""
    return EncodedView(part or x.part, x)


def joint(x: Input | EncodedView, part: str = "joint") -> JointView:
    """The input in the joint space: a `Joint`."""
    return JointView(part, _view(x))


def fused(
    image: Input | View, text: Input | View, pairing: str | None = None, keep: float = 0.0, part: str = "fusion"
) -> FusedView:
    """Picture and text fused: a `Fused`.

    pairing  rows are the wrong pairs of that pairing in place of the batch's own pairs
    keep     this share of each of the pairing's groups, rounded down, stays matched (needs a pairing with one
             wrong pair a row)
    """
    if keep and pairing is None:
        raise ViewError("fused(keep=...) needs a pairing")
    if not 0 <= keep < 1:
        raise ViewError(f"fused(keep={keep}) must lie in [0, 1)")
    return FusedView(part, _view(image), _view(text), pairing, keep)


def decoded(query: Input | View, memory: Input | View | None, part: str = "decoder") -> DecodedView:
    """The query's positions after a decoder that looks at memory (None: without cross-attention): an `Encoded`."""
    return DecodedView(part, _view(query), None if memory is None else _view(memory))
