"""Dropout of a pass in which several inputs are stacked: each input's rows draw what a pass of their own would draw.

A pass seeds torch's generator by its own name. Here there is one such random state for each input, and whatever draws
(dropout, attention with dropout, a depth that is dropped at random) is called on each input's rows under its state.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from vlobjectives.plugin_loading.attribution import ContractError

HINT = "leave `stack` out of Spec.can (plan.stack=false helps the recipe until then)"


def drawn_by_input(
    call: Callable[..., Any], part: nn.Module, seeds: Sequence[int], number: Tensor, *inputs: Any
) -> Any:
    """Call a part on stacked inputs.

    seeds   input -> the seed of a pass of its own
    number  [B], the samples of each input

    Raises ContractError where the part draws random numbers that are no rows of its inputs: they would be others than
    those of single passes.
    """
    draws = _ByInput(part, seeds, len(seeds) * number.shape[0])
    devices = {torch.device("cpu"), number.device} if type(number) is Tensor else ()  # fake tensors draw nothing
    before = {device: _state(device) for device in devices}
    with draws:
        value = call(*inputs)
    if not all(torch.equal(state, _state(device)) for device, state in before.items()):
        raise draws.refusal("draws random numbers that are no rows of its inputs")
    return value


class _ByInput(TorchFunctionMode):
    """Draws by each input's own random state. Entered anew where a pass is recomputed, which draws the same again."""

    def __init__(self, part: nn.Module, seeds: Sequence[int], rows: int):
        super().__init__()
        self.part, self.seeds, self.rows = part, seeds, rows
        self.states: dict[torch.device, list[Tensor]] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        draw = DRAWS.get(func)
        return func(*args, **(kwargs or {})) if draw is None else draw(self, func, *args, **(kwargs or {}))

    def pieces(self, x: Tensor) -> list[Tensor]:
        if not x.dim() or x.shape[0] % self.rows:
            raise self.refusal(f"draws for {list(x.shape)}, whose first axis is no rows of its inputs")
        return list(x.chunk(len(self.seeds)))

    def each(self, draw: Callable[..., Tensor], *pieces: Sequence[Any]) -> list[Tensor]:
        """What `draw` gives for each input, under its state."""
        device = pieces[0][0].device
        states = self.states.setdefault(device, [])
        if not states:
            states += [torch.Generator(device).manual_seed(seed).get_state() for seed in self.seeds]
        kept, found = _state(device), []
        try:
            for place, given in enumerate(zip(*pieces, strict=True)):
                _set_state(device, states[place])
                found.append(draw(*given))
                states[place] = _state(device)
        finally:
            _set_state(device, kept)
        return found

    def refusal(self, why: str) -> ContractError:
        return ContractError(f"it says `stack` in Spec.can, and {why}", HINT, self.part.forward)


def _dropout(
    mode: _ByInput, func: Any, x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    if not training or not p:
        return x
    out = torch.cat(mode.each(lambda own: func(own, p, training), mode.pieces(x)))
    return x.copy_(out) if inplace else out


def _attention(
    mode: _ByInput,
    func: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    *more: Any,
    **named: Any,
) -> Tensor:
    if not dropout_p:
        return func(query, key, value, attn_mask, dropout_p, *more, **named)  # type: ignore[no-any-return]
    pieces = [mode.pieces(x) for x in (query, key, value)]
    masks: Sequence[Tensor | None] = [attn_mask] * len(mode.seeds)
    if attn_mask is not None and attn_mask.dim() == query.dim() and attn_mask.shape[0] > 1:
        masks = mode.pieces(attn_mask)
    return torch.cat(mode.each(lambda q, k, v, own: func(q, k, v, own, dropout_p, *more, **named), *pieces, masks))


def _in_place(mode: _ByInput, func: Any, x: Tensor, *args: Any, **named: Any) -> Tensor:
    mode.each(lambda own: func(own, *args, **named), mode.pieces(x))
    return x


def _like(mode: _ByInput, func: Any, x: Tensor, *args: Any, **named: Any) -> Tensor:
    return torch.cat(mode.each(lambda own: func(own, *args, **named), mode.pieces(x)))


DRAWS: Mapping[Any, Callable[..., Tensor]] = {
    **dict.fromkeys((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d), _dropout),
    **dict.fromkeys((F.alpha_dropout, F.feature_alpha_dropout), _dropout),
    F.scaled_dot_product_attention: _attention,
    **dict.fromkeys((Tensor.bernoulli_, Tensor.uniform_, Tensor.normal_), _in_place),
    **dict.fromkeys((torch.bernoulli, Tensor.bernoulli, torch.rand_like, torch.randn_like), _like),
}
"""What draws -> how it is called on each input's rows. Whatever else draws is refused."""


def _state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_state(device: torch.device, state: Tensor) -> None:
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
