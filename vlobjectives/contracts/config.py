"""Configs of plug-ins: strict pydantic models whose typed fields name other things of the recipe."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from vlobjectives.contracts import definition, naming
from vlobjectives.contracts.naming import Names

InputName = Annotated[str, Names("input")]
MaskName = Annotated[str, Names("mask")]
PairingName = Annotated[str, Names("pairing")]
PartName = Annotated[str, Names("part")]
FieldName = Annotated[str, Names("field")]
ObjectiveName = Annotated[str, Names("objective")]


class Config(BaseModel):
    """Base of every plug-in's Config: no unknown keys, no silent conversions, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
    HOST: ClassVar[frozenset[str]] = frozenset()
    """Keys of an entry that are the host's: a field of such a name would never be given anything."""

    @classmethod
    def __pydantic_init_subclass__(cls, **more: Any) -> None:
        super().__pydantic_init_subclass__(**more)
        definition.free_of(cls, (info.alias or field for field, info in cls.model_fields.items()), cls.HOST)

    def named(self, kind: str) -> dict[str, str]:
        """Return what the fields of this Config name.

        Args:
            kind: The kind of thing that is named: input, mask, pairing, part, field or objective.

        Returns:
            Field name -> the name that it holds. Of a field that names several (`list[MaskName]`,
            `dict[str, MaskName]`) each stands by itself, as `masks.0` or `masks.words`. Optional fields
            (`MaskName | None`) that hold None are left out.
        """
        return {".".join(map(str, place)): name for place, name in naming.places(self, kind)}

    def places(self, kind: str) -> dict[naming.Place, str]:
        """Return the same as `named` by key path: (`masks`, 0)."""
        return dict(naming.places(self, kind))

    def held(self, kind: str, things: Mapping[str, Any]) -> dict[str, Any]:
        """Return the things that the fields of this Config name.

        Args:
            kind: The kind of thing, as of `named`.
            things: All things of the kind, by name.

        Returns:
            Field -> the thing that it names; a list or mapping of things where it names several.
        """
        return naming.held(self, kind, things)


@dataclass(frozen=True)
class Substitute:
    """A component that takes the place of another in `--tiny` runs, as an entry of a recipe.

    Attributes:
        type: Its name, of the same kind.
        options: What its Config takes.
    """

    type: str
    options: Mapping[str, Any] = field(default_factory=dict)


class ObjectiveConfig(Config):
    """Config of an objective. `weight`, `group` and `sources` are the host's keys and are never fields here."""

    HOST = frozenset({"type", "weight", "group", "sources"})


class MaskConfig(Config):
    """Config of a masking strategy. `stream` is the host's key: the random stream, by default the mask's name."""

    HOST = frozenset({"type", "stream"})


class PairingConfig(Config):
    """Config of a pairing. `group` is the host's key: consecutive rows among which partners are looked for."""

    HOST = frozenset({"type", "group"})


class BalancerConfig(Config):
    """Config of a balancer. `on`, the parts whose gradients it gets, is the host's key."""

    HOST = frozenset({"type", "on"})


class PartConfig(Config):
    """Config of an encoder, fusion, decoder, projection or head."""

    HOST = frozenset({"type"})

    def tiny(self) -> "PartConfig":
        """Give the part of `--tiny` runs and shape checks: this one small.

        Returns:
            A Config of the same part that takes seconds on a CPU and loads no weights; by default this one.
        """
        return self


class ReaderConfig(Config):
    """Config of a reader. `of` (the column) and `with` (whose vocabulary it shares) are the host's keys."""

    HOST = frozenset({"type", "of", "with"})

    def tiny(self) -> "ReaderConfig | Substitute":
        """Give the reader of `--tiny` runs: this one small, or another that needs no file.

        Options that the recipe leaves out, required ones too, have no value here.
        """
        return self


class SourceConfig(Config):
    """Config of a source.

    `batch`, `micro_batch`, `workers`, `max_bad`, `max_pixels`, `mix`, and in a mix `weight` and `rename`, are the
    host's keys.
    """

    HOST = frozenset({"type", "mix", "batch", "micro_batch", "workers", "max_bad", "max_pixels", "weight", "rename"})

    def tiny(self, pixels: int) -> "SourceConfig | Substitute":
        """Give the source of `--tiny` runs: this one small, or another that makes up the same columns without files.

        Options that the recipe leaves out, required ones too, have no value here: nobody has named the files yet.

        Args:
            pixels: Height and width that its pictures have; the host looks for the least that the encoders take.
        """
        return self


class EvaluationConfig(Config):
    """Config of an evaluation. `sources` is the host's key."""

    HOST = frozenset({"type", "sources"})


class TrackerConfig(Config):
    """Config of a tracker."""

    HOST = frozenset({"type"})
