"""What encoders give for each input, and so where masks work: an encoder may read inputs of several sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from vlobjectives.contracts.mask import MaskTarget
from vlobjectives.contracts.parts import Part, Spec
from vlobjectives.data.collate import Fields
from vlobjectives.data.data_module import DataModule
from vlobjectives.plugin_loading.instantiate import placed


@dataclass(frozen=True)
class KnownSpecs:
    """What parts give for the inputs of a source: `contracts.passes.Specs`."""

    parts: Mapping[str, Part]
    fields: Fields

    def spec(self, part: str, input: str | None = None) -> Spec:
        """Raises BuildError where an encoder cannot read the pictures of an input."""
        own = self.parts[part]
        if input is None:
            return own.spec
        read = self.fields.specs(self.fields.inputs[input])
        return cast(Spec, placed(("inputs", input), lambda: own.spec_for(read)))


def sites(made: DataModule, parts: Mapping[str, Part]) -> dict[str, dict[str, MaskTarget]]:
    """Where masks work: source -> for each input that it feeds and whose encoder is there."""
    return {name: _sites(made, feed.fields, parts) for name, feed in made.feeds.items()}


def _sites(made: DataModule, of: Fields, parts: Mapping[str, Part]) -> dict[str, MaskTarget]:
    found = {}
    for name, x in made.inputs.items():
        if x.part not in parts or name not in of.inputs:
            continue
        spec, fields = KnownSpecs(parts, of).spec(x.part, name), of.specs(of.inputs[name])
        tokens = [field for field in fields.values() if field.kind == "tokens"]
        length = sum(field.shape[0] for field in tokens) if tokens else spec.length
        special = tokens[0].special if tokens else {}
        found[name] = MaskTarget(
            name, length, spec.grid, spec.frames, fields, special, max(field.vocabulary for field in fields.values())
        )
    return found
