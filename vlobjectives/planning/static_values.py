"""What is known of views before any pass runs: draws, validity, segments and pairs. Objectives count with it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from vlobjectives.contracts.batch import Batch, Tokens
from vlobjectives.contracts.parts import Spec
from vlobjectives.contracts.values import Encoded, Fused, MaskSample
from vlobjectives.contracts.views import DecodedView, EncodedView, FusedView, View
from vlobjectives.planning.execute import ExecutionContext, read
from vlobjectives.planning.plan import DrawKey, Key, PairsKey, PassGroup, bare, seen_input


def run(share: PassGroup, stage: ExecutionContext, batch: Batch) -> dict[Key, Any]:
    """Values without features (width 0); whatever hangs on a mask or pairing that looks at views is left out."""
    values: dict[Key, Any] = {}
    for work in share.work:
        key = work.key
        if isinstance(key, DrawKey):
            if not stage.masks[key.mask].views(bare(stage.inputs)):
                values[key] = stage.draw(key, batch, {})
        elif isinstance(key, PairsKey):
            if not stage.pairings[key.pairing].views(stage.inputs):
                values[key] = stage.choose(key, batch, {})
        else:
            value = _known(key, stage, batch, values)
            if value is not None:
                values[key] = value
    return values


def whole(view: View, values: Mapping[Key, Any]) -> bool:
    """Whether all that a view says can be read: its pass, and the draw that `.visible` names."""
    seen = view.reading.visible
    return view.run in values and (not seen or DrawKey(seen, seen_input(view).name) in values)


def _known(key: View, stage: ExecutionContext, batch: Batch, values: Mapping[Key, Any]) -> Encoded | Fused | None:
    if not all(whole(fed, values) for fed in key.fed):
        return None
    if isinstance(key, EncodedView):
        draw = None
        if key.input.mask:
            draw = values.get(DrawKey(key.input.mask, key.input.name))
            if draw is None:
                return None
        return _encoded(batch[key.input.name], draw, stage.parts[key.part].spec)
    if isinstance(key, FusedView):
        image, text = read(key.image, values), read(key.text, values)
        if key.pairing is None:
            return Fused(image, text)
        pairs = values.get(PairsKey(key.pairing, key.keep))
        return None if pairs is None else Fused(image.rows(pairs.image), text.rows(pairs.text), pairs=pairs)
    if isinstance(key, DecodedView):
        return read(key.query, values)
    return None


def _encoded(x: Tensor | Tokens, draw: MaskSample | None, spec: Spec) -> Encoded:
    if isinstance(x, Tokens) and spec.beside:
        valid = x.beside[spec.beside].valid
        return Encoded(torch.empty(*valid.shape, 0, device=valid.device), valid, draw=draw)
    if isinstance(x, Tokens):
        empty = torch.empty(*x.ids.shape, 0, device=x.ids.device)
        return Encoded(empty, x.valid, draw=draw, segment=x.segment, special=x.special)
    length = spec.length // spec.frames * (x.shape[1] if x.dim() == 5 else 1)
    kept = length if draw is None or draw.keep is None else draw.keep.shape[1]
    valid = torch.ones(x.shape[0], kept, dtype=torch.bool, device=x.device)
    return Encoded(torch.empty(x.shape[0], kept, 0, device=x.device), valid, draw=draw)
