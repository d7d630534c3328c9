"""Which inputs of a system may be rows of one pass of their encoder."""

from collections.abc import Hashable, Sequence
from typing import Any

from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.parts import Part
from vlobjectives.contracts.views import EncodedView


def alike(system: Any, view: EncodedView) -> Hashable | None:
    """What passes that may be rows of one have in common; None: this one stays by itself.

    In every source their fields have one shape, vocabulary and special ids. They wear no mask, or masks of one type and
    options, which hide as many positions in the same way.
    """
    part = system.model.get_submodule(view.part) if view.part in system.model else None
    if not system.settings.stack or part is None or not can(part):
        return None
    fields = {
        source: _shape(sites[view.input.name].fields)
        for source, sites in system.sites.items()
        if view.input.name in sites
    }
    mask = None
    if view.input.mask is not None:
        one = system.masks[view.input.mask]
        mask = type(one), one.config.model_dump_json()
    return tuple(fields.items()), mask


def can(part: Part) -> bool:
    """Whether a part may get several inputs' rows at once: it says so, and is not compiled."""
    return "stack" in part.spec.can and part._compiled_call_impl is None


def _shape(fields: Any) -> tuple[Hashable, ...]:
    """Fields as an encoder reads them; one that stands alone is never called by its name."""
    names: Sequence[str] = list(fields) if len(fields) > 1 else [""]
    return tuple((name, *_own(spec)) for name, spec in zip(names, fields.values()))


def _own(spec: FieldSpec) -> tuple[Hashable, ...]:
    return spec.kind, spec.shape, spec.vocabulary, spec.ids, tuple(sorted(spec.special.items()))
