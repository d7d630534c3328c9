"""A recipe built to be looked at: parts on the meta device, everything else as it will run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vlobjectives.contracts.balancer import Balancer
from vlobjectives.contracts.mask import Mask, MaskTarget
from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.pairing import Pairing
from vlobjectives.contracts.parts import Part, Spec
from vlobjectives.contracts.views import Input
from vlobjectives.data.data_module import DataModule
from vlobjectives.planning.plan import bare
from vlobjectives.recipe.model import Recipe
from vlobjectives.system import assemble
from vlobjectives.system.input_specs import KnownSpecs, sites


@dataclass
class MetaBuild:
    """What stages after `data` look at; a `planning.plan.PlanContext` too.

    sites  source -> input -> where masks work
    slots  (projection, encoder) -> the stream of the projection that the encoder is
    rows   pairing -> consecutive rows that partners are found among
    """

    made: DataModule
    parts: Mapping[str, Part]
    sites: Mapping[str, Mapping[str, MaskTarget]]
    slots: Mapping[tuple[str, str], str]
    rows: Mapping[str, int]
    masks: dict[str, Mask] = field(default_factory=dict)
    pairings: dict[str, Pairing] = field(default_factory=dict)
    objectives: dict[str, Objective] = field(default_factory=dict)
    balancer: Balancer | None = None

    @property
    def inputs(self) -> Mapping[str, Input]:
        return self.made.inputs

    @property
    def bare(self) -> Mapping[str, Input]:
        """The inputs without their own masks: what masks and evaluations look at."""
        return bare(self.inputs)

    def spec(self, part: str, input: str | None = None) -> Spec:
        """The Spec of a part; of an encoder, what it gives for an input of the first source."""
        return KnownSpecs(self.parts, self.made.fields).spec(part, input)

    def of_recipe(self, recipe: Recipe) -> "MetaBuild":
        """Of all this what a recipe still has."""

        def kept(held: Mapping[str, Any], section: str) -> dict[str, Any]:
            return {name: one for name, one in held.items() if name in getattr(recipe, section)}

        parts, made = kept(self.parts, "model"), self.made.of_inputs(recipe.inputs)
        return MetaBuild(
            made,
            parts,
            sites(made, parts),
            assemble.projection_slots(parts),
            kept(self.rows, "pairings"),
            kept(self.masks, "masks"),
            kept(self.pairings, "pairings"),
            kept(self.objectives, "objectives"),
            self.balancer if recipe.balance is not None else None,
        )

    def of(self, kind: str) -> dict[str, Any]:
        """Those of a kind, by name."""
        kinds: dict[str, dict[str, Any]] = {
            "mask": self.masks,
            "pairing": self.pairings,
            "objective": self.objectives,
        }
        return kinds[kind]
