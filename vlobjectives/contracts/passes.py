"""A pass of a part, and what to take from it: the base of all kinds of views, and what a kind answers for itself.

A kind of view is one class (contracts/views.py): what its pass is fed and draws, how it calls its part, what is known
of it before it ran, and how a person reads it. Nothing else in the library asks which kind a view is of.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, Protocol, Self

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.definition import missing


class ViewError(ValueError):
    """A view that cannot be; `check` prints it at the objective that asked for it."""


@dataclass(frozen=True)
class Input:
    """An input of the recipe: fields of the batch, the encoder that reads them, and the mask that corrupts them."""

    name: str
    part: str
    mask: str | None = None

    def masked(self, mask: str | None) -> "Input":
        """Return the input corrupted by a mask of the recipe; for None the input as it is, its own mask included."""
        if mask is None:
            return self
        if self.mask is not None:
            raise ViewError(f"input '{self.name}' is already masked by '{self.mask}' and takes no second mask '{mask}'")
        return replace(self, mask=mask)


class InputTable(dict[str, Input]):
    """The inputs of a recipe by name; one that is not there is an error at the line that asks for it."""

    def __missing__(self, name: str) -> Input:
        raise missing("input", name, self)


@dataclass(frozen=True)
class RequestedOutputs:
    """What to take from a pass.

    Attributes:
        layers: Numbers of the blocks whose hidden states are wanted, from 0.
        maps: Whether attention maps are.
        tokens: Whether the projected tokens of a joint view are.
        visible: The mask of the recipe whose hidden positions leave `valid`; None: all stay.
    """

    layers: frozenset[int] = frozenset()
    maps: bool = False
    tokens: bool = False
    visible: str | None = None

    def __or__(self, other: "RequestedOutputs") -> "RequestedOutputs":
        """Return what a pass must deliver to serve both (`visible` is applied afterwards, by each consumer)."""
        return RequestedOutputs(self.layers | other.layers, self.maps or other.maps, self.tokens or other.tokens)


@dataclass(frozen=True)
class MaskKey:
    """What a mask draws for an input; its value is a MaskSample."""

    mask: str
    input: str

    @property
    def title(self) -> str:
        """As a person reads it: `dropped on image`."""
        return f"{self.mask} on {self.input}"

    @property
    def reads(self) -> str:
        return self.title

    @property
    def place(self) -> tuple[tuple[str, str], str]:
        """Where the recipe names who runs it, and what it is in words."""
        return ("masks", self.mask), f"the draw {self.title}"


@dataclass(frozen=True)
class PairsKey:
    """The wrong pairs of a pairing, with a share `keep` left matched; its value is a Pairs."""

    pairing: str
    keep: float

    @property
    def title(self) -> str:
        """As a person reads it: `others, 0.5 kept`."""
        return self.pairing + (f", {self.keep:g} kept" if self.keep else "")

    @property
    def reads(self) -> str:
        return self.title

    @property
    def place(self) -> tuple[tuple[str, str], str]:
        """Where the recipe names who runs it, and what it is in words."""
        return ("pairings", self.pairing), "the choice of wrong pairs"


class Specs(Protocol):
    """What knows the Specs of the model's parts."""

    def spec(self, part: str, input: str | None = None) -> Any:
        """Return the Spec of a part of the model; of an encoder, what it gives for an input."""


class PassInputs(Specs, Protocol):
    """What a kind of view may ask for while its pass runs, or before any pass runs (`View.static`)."""

    @property
    def batch(self) -> Batch: ...

    def value(self, key: Any) -> Any:
        """Return the value (MaskSample, Pairs) of a mask's or pairing's key among those `required` by the pass."""

    def read(self, view: "View") -> Any:
        """Return the value of a view that the pass is fed, with its requested outputs applied."""

    def stream(self, projection: str, encoder: str) -> str:
        """Return which stream (`image` or `text`) of a projection an encoder is."""


class ModelFacts(Specs, Protocol):
    """What a kind of view may ask of the model before anything runs.

    Attributes:
        slots: (projection, encoder) -> which stream (`image` or `text`) of the projection that encoder is.
        pairings: The pairings by name.
        rows: Pairing -> consecutive rows among which partners are looked for.
    """

    @property
    def slots(self) -> Mapping[tuple[str, str], str]: ...

    @property
    def pairings(self) -> Mapping[str, Any]: ...

    @property
    def rows(self) -> Mapping[str, int]: ...


class Misfit(NamedTuple):
    """Why a view cannot be run: the name in the recipe to blame (a `part` or a `pairing`), why, and the hint."""

    kind: str
    name: str
    why: str
    hint: str


@dataclass(frozen=True)
class View:
    """Base of the four kinds of views.

    Attributes:
        reading: What is taken from the pass.
        averaged: Whether the part runs on the average of its weights over the steps so far.
    """

    part: str
    reading: RequestedOutputs = field(default=RequestedOutputs(), kw_only=True)
    averaged: bool = field(default=False, kw_only=True)
    feeding: ClassVar[tuple[str, ...]] = ()
    """The fields that hold the views which this pass is fed; None among them is nothing."""
    kind: ClassVar[str] = "view"
    """How plans name this kind of view."""
    output: ClassVar[type] = object
    """What the part's `forward` must return."""

    def layer(self, n: int) -> Self:
        """Add the hidden state after block n (from 0) as `layers[n]`."""
        return replace(self, reading=replace(self.reading, layers=self.reading.layers | {n}))

    def with_maps(self) -> Self:
        """Add attention maps; the written-out attention runs, which is slower."""
        return replace(self, reading=replace(self.reading, maps=True))

    def with_tokens(self) -> Self:
        """Add the projected tokens of a joint view."""
        return replace(self, reading=replace(self.reading, tokens=True))

    def visible(self, mask: str) -> Self:
        """Take the positions that `mask` hides out of `valid`; what was computed does not change."""
        return replace(self, reading=replace(self.reading, visible=mask))

    def ema(self) -> Self:
        """Return the view by averaged weights, this pass's and those of all that it is fed; no gradient reaches it.

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
    def members(self) -> "tuple[View, ...]":
        """The passes of single inputs that this one stands for: itself, unless rows of several are stacked."""
        return (self,)

    @property
    def fed(self) -> "tuple[View, ...]":
        """The views that this pass is fed."""
        return tuple(view for key in self.feeding if (view := getattr(self, key)) is not None)

    @property
    def required(self) -> "tuple[MaskKey | PairsKey, ...]":
        """What must be drawn before the pass, besides what `visible` names."""
        return ()

    @property
    def seen(self) -> Input:
        """The input whose positions this view keeps; raises ViewError where they are of no one input."""
        raise ViewError(f".visible() is for encoded and decoded views, not for {self.kind} ones")

    @property
    def sight(self) -> MaskKey | None:
        """The draw whose hidden positions `visible` masks out of attention."""
        return MaskKey(self.reading.visible, self.seen.name) if self.reading.visible else None

    @property
    def runner(self) -> str:
        """The part that runs the pass, by its averaged weights marked: `vision~ema`."""
        return f"{self.part}~ema" if self.averaged else self.part

    @property
    def title(self) -> str:
        """The pass as a person reads it: `fusion(vision(image * dropped), text(text))`."""
        inside = ", ".join(
            view.title + (f" seen by {view.reading.visible}" if view.reading.visible else "") for view in self.fed
        )
        return f"{self.runner}({inside})"

    @property
    def reads(self) -> str:
        """What the pass is fed, in words: `image (dropped) + caption`."""
        return " + ".join(
            view.reads
            + ("~ema" if view.averaged and not self.averaged else "")
            + (f" seen by {view.reading.visible}" if view.reading.visible else "")
            for view in self.fed
        )

    @property
    def place(self) -> tuple[tuple[str, str], str]:
        """Where the recipe names the part, and the pass in words."""
        return ("model", self.part), f"the pass {self.title}"

    @property
    def shown(self) -> str:
        """Name of the input that stands behind this view where it is taken as a picture."""
        return self.fed[0].shown

    def spec(self, model: "Specs") -> Any:
        """Return the Spec of what this view gives: the part's, with the positions of what the pass is fed."""
        return model.spec(self.part)

    def resized(self, model: "Specs") -> Any:
        """Return its Spec where it has another grid or number of frames than its part's own; else None."""
        spec, own = self.spec(model), model.spec(self.part)
        return None if (spec.grid, spec.frames) == (own.grid, own.frames) else spec

    def pictures(self, model: "ModelFacts") -> tuple[str, ...]:
        """Return the names of the inputs that the pass takes as its picture."""
        return ()

    def misfit(self, part: Any, model: "ModelFacts") -> Misfit | None:
        """Say why a part of the right kind cannot run this view; None where it can."""
        return None

    def arguments(self, given: PassInputs) -> tuple[Any, ...]:
        """Return what the part's `forward` gets in front of the requested outputs."""
        raise NotImplementedError

    def completed(self, value: Any, given: PassInputs) -> Any:
        """Return the part's output with what the view itself knows of it."""
        return value

    def static(self, given: PassInputs) -> Any:
        """Return what is known of the value before the pass runs (validity, segments, draws; features of width 0).

        None where nothing is known. All that the view is fed and requires is there to be read.
        """
        return None


Key = View | MaskKey | PairsKey
"""What an entry of a plan computes."""
