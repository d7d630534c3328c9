"""What is known of views before any pass runs: draws, validity, segments and pairs. Objectives count with it."""

from collections.abc import Mapping
from typing import Any

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.passes import Key, MaskKey, PairsKey, View
from vlobjectives.planning.execute import ExecutionContext, Inputs
from vlobjectives.planning.plan import PassGroup, bare


def run(share: PassGroup, stage: ExecutionContext, batch: Batch) -> dict[Key, Any]:
    """Values without features (width 0); whatever hangs on a mask or pairing that looks at views is left out."""
    values: dict[Key, Any] = {}
    for work in share.work:
        key = work.key
        if isinstance(key, MaskKey):
            if not stage.masks[key.mask].views(bare(stage.inputs)):
                values[key] = stage.draw(key, batch, {})
        elif isinstance(key, PairsKey):
            if not stage.pairings[key.pairing].views(stage.inputs):
                values[key] = stage.choose(key, batch, {})
        else:
            for view in key.members:
                value = _known(view, stage, batch, values)
                if value is not None:
                    values[view] = value
    return values


def whole(view: View, values: Mapping[Key, Any]) -> bool:
    """Whether all that a view says can be read: its pass, and the draw that `.visible` names."""
    return view.run in values and (view.sight is None or view.sight in values)


def _known(key: View, stage: ExecutionContext, batch: Batch, values: Mapping[Key, Any]) -> Any:
    if not all(whole(fed, values) for fed in key.fed) or not all(needed in values for needed in key.required):
        return None
    return key.static(Inputs(stage, batch, values))
