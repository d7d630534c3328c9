"""Parts of the model: encoders, fusions, decoders, projections, heads. What they take, give and can do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from vlobjectives.contracts import definition
from vlobjectives.contracts.config import PartConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.values import Encoded, Fused, Joint, MaskSample
from vlobjectives.contracts.views import RequestedOutputs

KeyValueCache = Any
"""Keys and values of the positions so far: tensors with the row axis in front, in lists, tuples or mappings."""


CAN = frozenset({"drop", "token", "pixels", "mask", "frames", "sizes", "causal", "maps", "layers", "continue", "stack"})
"""What the host knows that a part can; a word beside these is the fill of a third party's mask."""


@dataclass(frozen=True)
class Spec:
    """What a part gives, known before anything runs.

    All of it is of the part's own fields. What an encoder gives for other ones is `Encoder.spec_for`.

    Attributes:
        width: D of `tokens` and `cls`.
        pooled: Width P of `pooled`; 0 if it gives none.
        length: Positions N of the clean input (clips: F*n), of a pooled encoder the tokens that it gives, which are no
            positions; 0 if it gives none.
        grid: (rows, columns) of the patches of a frame; None for text.
        patch_size: Pixels a side of a patch, or its (height, width); 0 for text.
        frames: F, the frames of a clip.
        classes: Class tokens that come before the positions when a fusion concatenates them.
        fields: FieldSpecs of the fields that it reads, by name.
        extra: Names of further outputs and their shapes without the row axis.
        beside: The field of vectors beside the sequence whose rows the positions are (regions, not their tags), or
            None.
        embedding: Dotted name, within the part, of the token table that a head may be tied to.
        can: Some of `drop`, `token`, `pixels` (fills of pictures), `mask` (of ids), `frames`, `causal`, `maps`,
            `layers`; of causal parts also `continue` (`Encoder.decode_step`, `Decoder.decode_step`). `sizes` is for an
            encoder that reads pictures of other sizes than its own (positions resampled, `Encoder.spec_for`), and for a
            decoder that takes such an encoder's grids. `stack` is for an encoder that gives rows of several inputs at
            once what it gives each input by itself, in training too: no row looks at another, and whatever is drawn at
            random (dropout) has the rows in front. An encoder that hides by the fill of a third party's mask has that
            fill's own word.
    """

    width: int
    pooled: int = 0
    length: int = 0
    grid: tuple[int, int] | None = None
    patch_size: int | tuple[int, int] = 0
    frames: int = 1
    classes: int = 0
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)
    extra: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    beside: str | None = None
    embedding: str | None = None
    can: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Check `can`; raises PluginError where it holds a known word misspelt."""
        definition.known_words("`can` of a Spec", self.can, CAN, own=True)


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


class CannotBuild(ValueError):
    """The error of a plug-in that cannot do what is asked; `check` prints it at the plug-in's key, with its `hint`."""

    def __init__(self, why: str, hint: str = ""):
        super().__init__(why)
        self.why, self.hint = why, hint


class Part(nn.Module, Configured):
    """A named module of the model. Subclasses set `Config` and, once constructed, `spec`.

    Constructors run with their own random seed (of the part's dotted name), possibly under `torch.device("meta")`:
    they build what Config says and load nothing. Weights come afterwards, in `load_weights`.
    """

    Config: type[PartConfig] = PartConfig
    paper: ClassVar[str] = ""
    spare: ClassVar[frozenset[str]] = frozenset()
    """Own parameters that only some recipes reach, such as a mask token: `check` has no note where none does."""
    spec: Spec

    def __init__(self, config: PartConfig):
        super().__init__()
        self.config = config

    def ties(self) -> Mapping[str, str]:
        """Return own parameter -> dotted name under the model (`text.module.embeddings.word.weight`) that it shares."""
        return {}

    def bounds(self) -> Mapping[str, tuple[float, float]]:
        """Return own parameter -> (low, high), held after every optimiser step; none by default."""
        return {}

    def load_weights(self) -> list[str]:
        """Load what Config's `weights` names, checked against the architecture; return lines for the log."""
        return []

    def weights_missing(self) -> str:
        """Say why there is nothing to load under Config's `weights`, "" where there is; `check` asks before training.

        A path is looked up here. Override it where `weights` may be a name in a hub.
        """
        weights = getattr(self.config, "weights", None)
        gone = isinstance(weights, str) and weights.startswith("/") and not Path(weights).exists()
        return f"there is no file or folder {weights}" if gone else ""

    def resampled(self, name: str, value: Tensor) -> Tensor | None:
        """Bring a parameter of the like-named part of another run (`init`) to the shape of this part's own.

        Positions of another grid, for one, can be interpolated.

        Args:
            name: The parameter, as the part names it.
            value: The other run's tensor, of another shape.

        Returns:
            The tensor for this part; None (the default) where that has no meaning. The run is then refused.
        """
        return None

    def spec_for(self, fields: Mapping[str, FieldSpec]) -> Spec:
        """Return the Spec of what it gives for an input of these fields, by name; `spec` of all but encoders."""
        return self.spec

    def cannot(self, why: str, hint: str = "") -> CannotBuild:
        """Return the error of what cannot be, for the caller to raise: `raise self.cannot(why, hint)`."""
        return CannotBuild(why, hint)


class Encoder(Part):
    """Reads one input.

    Args:
        config: Its options.
        fields: FieldSpecs of the input's fields by name, in the input's order.
        **named: Specs of the other parts that Config names (an encoder whose table this one shares), by the names of
            those Config fields.
    """

    def __init__(self, config: PartConfig, fields: Mapping[str, FieldSpec], **named: "Spec"):
        super().__init__(config)

    def spec_for(self, fields: Mapping[str, FieldSpec]) -> Spec:
        """Return the Spec for an input of these fields: pictures or sounds of another size, clips of another length.

        The length and grid follow from `patch_size`; override it where more hangs on the size.

        Args:
            fields: FieldSpecs of the input's fields by name, in the input's order.

        Raises:
            CannotBuild: It cannot read them: they are of another size where `can` lacks `sizes`, or not made of whole
                patches.
        """
        if dict(fields) == dict(self.spec.fields):
            return self.spec
        spec = replace(self.spec, fields=dict(fields))
        seen, own = (next((each for each in of.values() if each.size), None) for of in (fields, self.spec.fields))
        if seen is None or own is None or seen.size is None or own.size is None:
            return spec
        frames = seen.frames if "frames" in spec.can else spec.frames
        if seen.shape[-3:] == own.shape[-3:]:
            length = spec.length if spec.grid is None else spec.length // spec.frames * frames
            return replace(spec, length=length, frames=frames)
        if "sizes" not in spec.can or seen.shape[-3:-2] != own.shape[-3:-2]:
            raise self.cannot(
                f"it reads {own.kind}s of {_by(own.shape[-3:])} alone, and these are {_by(seen.shape[-3:])}",
                "give it inputs of its own size, or take an encoder whose Spec.can holds `sizes`",
            )
        rows, columns = self._grid(seen, seen.size)
        if spec.grid is None:
            return replace(spec, frames=frames)
        return replace(spec, length=frames * rows * columns, grid=(rows, columns), frames=frames)

    def _grid(self, seen: FieldSpec, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches of an input (height, width). Raises CannotBuild where they are not whole."""
        patch = self.spec.patch_size
        high, wide = (patch, patch) if isinstance(patch, int) else patch
        rows, columns = size[0] // high, size[1] // wide
        if (rows * high, columns * wide) != size or not rows * columns:
            near = f"{max(rows, 1) * high} x {max(columns, 1) * wide}", f"{(rows + 1) * high} x {(columns + 1) * wide}"
            raise self.cannot(
                f"a {seen.kind} of {_by(size)} is not made of whole patches of {_by((high, wide))}",
                f"near are sizes of {' and '.join(near)}",
            )
        return rows, columns

    def forward(self, x: Any, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        """Encode the rows of an input.

        Args:
            x: Pictures [B,C,H,W] / [B,F,C,H,W] or Tokens, before any mask.
            draw: What the input's mask drew, or None. With a draw the encoder hides as `draw.fill` says: pixels were
                hidden before, ids are `draw.ids`.
            want: What to give besides: hidden states of layers, attention maps.
        """
        raise NotImplementedError

    def decode_step(self, ids: Tensor, past: KeyValueCache | None) -> tuple[Tensor, KeyValueCache]:
        """Encode ids that stand behind those of `past`; of a causal encoder that says `continue` in `can`.

        Equal to `forward` on the whole sequence, without padding.

        Args:
            ids: [B,n] int64.
            past: What the step before returned; None at the start of the sequence.

        Returns:
            Tokens [B,n,D] of `ids`, and the past with them.
        """
        raise NotImplementedError


class Fusion(Part):
    """Mixes two streams. Config fields `image` and `text` (PartName) say whose Specs the constructor gets."""

    def __init__(self, config: PartConfig, image: Spec, text: Spec):
        super().__init__(config)

    def forward(self, image: Encoded, text: Encoded, want: RequestedOutputs) -> Fused:
        """Fuse R rows of both streams; `want` says what to give besides."""
        raise NotImplementedError


class Decoder(Part):
    """Query positions that look at memory positions. A Config whose `memory` is null gets no Spec of it."""

    def __init__(self, config: PartConfig, query: Spec, memory: Spec | None = None):
        super().__init__(config)

    def forward(self, query: Encoded, memory: Encoded | None, want: RequestedOutputs) -> Encoded:
        """Decode the query positions; `memory` is None for a part without one, `want` says what to give besides."""
        raise NotImplementedError

    def decode_step(
        self, query: Tensor, memory: Encoded | None, past: KeyValueCache | None
    ) -> tuple[Tensor, KeyValueCache]:
        """Decode query positions that stand behind those of `past`; as an encoder's.

        Args:
            query: [B,n,Dq].
            memory: Looked at where `past` is None, and kept in it.
            past: What the step before returned; None at the start of the sequence.

        Returns:
            Tokens [B,n,D] of `query`, and the past with them.
        """
        raise NotImplementedError


class Projection(Part):
    """Takes encoders to the joint space."""

    def __init__(self, config: PartConfig, image: Spec, text: Spec):
        super().__init__(config)

    def forward(self, x: Encoded, of: str, want: RequestedOutputs) -> Joint:
        """Project an encoder's output; `of` is the Config field (`image` or `text`) that names x's encoder."""
        raise NotImplementedError


class Head(Part):
    """A module that several objectives share.

    Args:
        config: Its options.
        of: Spec of the part that it sits on.
        **fields: FieldSpecs of the fields that Config names (FieldName), by the names of those Config fields.

    Attributes:
        width: Number of features that it reads. A head that sets it is held against the views of those who use it.
    """

    width: int = 0

    def __init__(self, config: PartConfig, of: Spec, **fields: FieldSpec):
        super().__init__(config)

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError
