"""Views: what an objective may look at. Two equal views are one pass; that is the whole sharing rule.

A view names a pass (part, what it is fed, pairing) and carries its requested outputs: what to take from that pass.
These are no part of the pass: `encoded(x)` and `encoded(x).layer(3)` are one run of the encoder. What a pass is *fed*
is part of it, requested outputs included: `decoded(q, encoded(x).visible(m))` differs from `decoded(q, encoded(x))`.
`.ema()` is no requested output: it takes other weights, which is another pass.
"""

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Tokens, Vectors
from vlobjectives.contracts.passes import (
    Input,
    MaskKey,
    Misfit,
    ModelFacts,
    PairsKey,
    PassInputs,
    RequestedOutputs,
    Specs,
    View,
    ViewError,
)
from vlobjectives.contracts.values import Encoded, Fused, Joint, MaskSample
from vlobjectives.functional import pixels

__all__ = [
    "DecodedView",
    "EncodedView",
    "FusedView",
    "Input",
    "JointView",
    "RequestedOutputs",
    "View",
    "ViewError",
    "decoded",
    "encoded",
    "fused",
    "joint",
]


@dataclass(frozen=True)
class EncodedView(View):
    """An input after its encoder: an `Encoded`."""

    input: Input
    kind = "encoded"
    output = Encoded

    @property
    def required(self) -> tuple[MaskKey | PairsKey, ...]:
        return (MaskKey(self.input.mask, self.input.name),) if self.input.mask else ()

    @property
    def seen(self) -> Input:
        return self.input

    @property
    def title(self) -> str:
        return f"{self.runner}({self.input.name}{f' * {self.input.mask}' if self.input.mask else ''})"

    @property
    def reads(self) -> str:
        return self.input.name + (f" ({self.input.mask})" if self.input.mask else "")

    @property
    def shown(self) -> str:
        return self.input.name

    def arguments(self, given: PassInputs) -> tuple[Any, ...]:
        x = given.batch[self.input.name]
        draw = given.value(self.required[0]) if self.required else None
        if draw is not None and draw.fill == "pixels":
            x = pixels.fill_patches(x, draw.hidden, self.spec(given).patch_size)
        return x, draw

    def spec(self, model: Specs) -> Any:
        return model.spec(self.part, self.input.name)

    def static(self, given: PassInputs) -> Encoded:
        draw = given.value(self.required[0]) if self.required else None
        return _static(given.batch[self.input.name], draw, self.spec(given))


@dataclass(frozen=True)
class JointView(View):
    """An encoded input in the joint space: a `Joint`."""

    of: EncodedView
    feeding = ("of",)
    kind = "joint"
    output = Joint

    def pictures(self, model: ModelFacts) -> tuple[str, ...]:
        return (self.of.shown,) if model.slots[self.part, self.of.part] == "image" else ()

    def misfit(self, part: Any, model: ModelFacts) -> Misfit | None:
        if (self.part, self.of.part) in model.slots:
            return None
        slots = ", ".join(f"{slot}: {name}" for slot, name in part.config.named("part").items())
        why = f"the projection '{self.part}' does not take the encoder '{self.of.part}'; it has {slots}"
        return Misfit("part", self.part, why, "add a projection for it under model")

    def arguments(self, given: PassInputs) -> tuple[Any, ...]:
        return given.read(self.of), given.stream(self.part, self.of.part)


@dataclass(frozen=True)
class FusedView(View):
    """Picture and text fused, of the batch's own pairs or of a pairing's wrong ones: a `Fused`."""

    image: View
    text: View
    pairing: str | None = None
    keep: float = 0.0
    feeding = ("image", "text")
    kind = "fused"
    output = Fused

    @property
    def required(self) -> tuple[MaskKey | PairsKey, ...]:
        return (PairsKey(self.pairing, self.keep),) if self.pairing else ()

    @property
    def title(self) -> str:
        pairs = f" | {self.required[0].title}" if self.required else ""
        return f"{super().title[:-1]}{pairs})"

    @property
    def reads(self) -> str:
        wrong = f", {f'{1 - self.keep:.0%} ' if self.keep else ''}wrong ({self.pairing})" if self.pairing else ""
        return super().reads + wrong

    @property
    def shown(self) -> str:
        return self.image.shown

    def spec(self, model: Specs) -> Any:
        own, image = model.spec(self.part), self.image.resized(model)
        return own if image is None or own.grid is None else replace(own, grid=image.grid, frames=image.frames)

    def pictures(self, model: ModelFacts) -> tuple[str, ...]:
        return (self.image.shown,)

    def misfit(self, part: Any, model: ModelFacts) -> Misfit | None:
        if not self.pairing or not self.keep:
            return None
        group = model.rows[self.pairing]
        rows = model.pairings[self.pairing].rows(group)
        if rows == group:
            return None
        why = (
            f"the pairing '{self.pairing}' gives {rows} wrong pairs "
            f"for {group} rows, and a pass that leaves some rows matched needs one a row"
        )
        hint = "take another pairing, or a scheme that keeps matched pairs apart"
        return Misfit("pairing", self.pairing, why, hint)

    def arguments(self, given: PassInputs) -> tuple[Any, ...]:
        image, text = given.read(self.image), given.read(self.text)
        if not self.required:
            return image, text
        pairs = given.value(self.required[0])
        return image.rows(pairs.image), text.rows(pairs.text)

    def completed(self, value: Fused, given: PassInputs) -> Fused:
        return replace(value, pairs=given.value(self.required[0])) if self.required else value

    def static(self, given: PassInputs) -> Fused:
        return self.completed(Fused(*self.arguments(given)), given)


@dataclass(frozen=True)
class DecodedView(View):
    """A query's positions after a decoder that looks at memory: an `Encoded`."""

    query: View
    memory: View | None = None
    feeding = ("query", "memory")
    kind = "decoded"
    output = Encoded

    @property
    def seen(self) -> Input:
        return self.query.seen

    def spec(self, model: Specs) -> Any:
        own, query = model.spec(self.part), self.query.resized(model)
        if query is None:
            return own
        return replace(own, length=query.length, grid=query.grid, frames=query.frames, fields=query.fields)

    def misfit(self, part: Any, model: ModelFacts) -> Misfit | None:
        if self.memory is not None and "memory" not in part.config.named("part"):
            why = f"the decoder '{self.part}' looks at no memory, and is given one"
            return Misfit("part", self.part, why, f"model.{self.part}.memory={self.memory.part}")
        query = self.query.resized(model)
        if query is None or query.grid == part.spec.grid or "sizes" in part.spec.can:
            return None
        (rows, columns), made = query.grid, " x ".join(map(str, part.spec.grid or ()))
        why = f"the decoder '{self.part}' is made for {made} patches, and '{self.seen.name}' has {rows} x {columns}"
        return Misfit("part", self.part, why, "take a decoder that can `sizes`, or an input of the encoder's own size")

    def arguments(self, given: PassInputs) -> tuple[Any, ...]:
        return given.read(self.query), None if self.memory is None else given.read(self.memory)

    def static(self, given: PassInputs) -> Any:
        return given.read(self.query)


def _static(x: Tensor | Tokens | Vectors, draw: MaskSample | None, spec: Any) -> Encoded:
    """What an encoder's output is known to be before it ran."""
    if isinstance(x, Tokens) and spec.beside:
        valid = x.beside[spec.beside].valid
        return Encoded(torch.empty(*valid.shape, 0, device=valid.device), valid, draw=draw)
    if isinstance(x, Tokens):
        empty = torch.empty(*x.ids.shape, 0, device=x.ids.device)
        return Encoded(empty, x.valid, draw=draw, segment=x.segment, special=x.special)
    if isinstance(x, Vectors):
        valid = x.valid if draw is None or draw.keep is None else x.valid.gather(1, draw.keep)
        return Encoded(torch.empty(*valid.shape, 0, device=valid.device), valid, draw=draw)
    kept = spec.length if draw is None or draw.keep is None else draw.keep.shape[1]
    valid = torch.ones(x.shape[0], kept, dtype=torch.bool, device=x.device)
    return Encoded(torch.empty(x.shape[0], kept, 0, device=x.device), valid, draw=draw)


V = TypeVar("V", bound=View)


def _view(x: Input | V) -> EncodedView | V:
    return encoded(x) if isinstance(x, Input) else x


def encoded(x: Input, part: str | None = None) -> EncodedView:
    """Return the view of an input after its encoder, an `Encoded`.

    Args:
        x: The input, with the mask that it has.
        part: Another encoder to run it through; None: the input's own.
    """
    return EncodedView(part or x.part, x)


def joint(x: Input | EncodedView, part: str = "joint") -> JointView:
    """Return the view of an input in the joint space, a `Joint`.

    Args:
        x: The input, or the view of it after another encoder.
        part: Name of the projection.
    """
    return JointView(part, _view(x))


def fused(
    image: Input | View, text: Input | View, pairing: str | None = None, keep: float = 0.0, part: str = "fusion"
) -> FusedView:
    """Return the view of picture and text fused, a `Fused`.

    Args:
        image: The picture: an input, or a view of it.
        text: The text: an input, or a view of it.
        pairing: Rows are the wrong pairs of that pairing in place of the batch's own pairs.
        keep: This share of each of the pairing's groups, rounded down, stays matched. It lies in [0, 1) and needs a
            pairing with one wrong pair a row.
        part: Name of the fusion.

    Raises:
        ViewError: `keep` has no pairing or lies elsewhere.
    """
    if keep and pairing is None:
        raise ViewError("fused(keep=...) needs a pairing")
    if not 0 <= keep < 1:
        raise ViewError(f"fused(keep={keep}) must lie in [0, 1)")
    return FusedView(part, _view(image), _view(text), pairing, keep)


def decoded(query: Input | View, memory: Input | View | None, part: str = "decoder") -> DecodedView:
    """Return the view of a query's positions after a decoder that looks at memory, an `Encoded`.

    Args:
        query: What is decoded: an input, or a view of it.
        memory: What the decoder looks at; None: no cross-attention.
        part: Name of the decoder.
    """
    return DecodedView(part, _view(query), None if memory is None else _view(memory))
