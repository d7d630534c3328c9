"""Running a share of a plan on a batch: draws, pairs and passes in order, each distinct one once."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.checkpoint import checkpoint

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.mask import Mask, MaskTarget
from vlobjectives.contracts.noise import Noise
from vlobjectives.contracts.pairing import Pairing
from vlobjectives.contracts.parts import Part
from vlobjectives.contracts.passes import Input, Key, MaskKey, PairsKey, RequestedOutputs, View, ViewError
from vlobjectives.contracts.stacked import apart
from vlobjectives.contracts.values import MaskSample, Pairs, only_visible, widened
from vlobjectives.functional import noise as arithmetic
from vlobjectives.planning.input_dropout import drawn_by_input
from vlobjectives.planning.node import PlanNode
from vlobjectives.planning.plan import PassGroup, bare
from vlobjectives.plugin_loading.attribution import given, work_of

HOLDERS = {"model": "parts", "masks": "masks", "pairings": "pairings"}
"""Section of a recipe -> where a stage holds what stands there."""


def seed_torch(number: int) -> None:
    """torch.manual_seed; where there is only the CPU, without its note of the whole stack for devices to come."""
    (torch.manual_seed if torch.accelerator.is_available() else torch.default_generator.manual_seed)(number)


@dataclass
class ExecutionContext:
    """What passes need besides a batch.

    inputs     the recipe's inputs: what pairings look at, and, without their own masks, masks
    parts      the model's parts by name
    sites      where masks work, by source and input
    streams    mask -> its random stream
    groups     pairing -> consecutive rows among which partners are looked for
    slots      projection and encoder -> which stream (`image` or `text`) of the projection that encoder is
    averages   part -> own parameter -> its average, which passes of averaged weights run on
    seed, when seed of the run, and the step (training) or split (evaluation)
    salt       further numbers that dropout hangs on: micro-batch and rank
    recompute  parts whose passes are recomputed in the backward pass
    draws, pairs  replace what a mask or a pairing would draw (evaluations)
    around     called for each entry, gives a context manager (costs are counted there)
    """

    inputs: Mapping[str, Input]
    parts: Mapping[str, Part]
    masks: Mapping[str, Mask]
    pairings: Mapping[str, Pairing]
    sites: Mapping[str, Mapping[str, MaskTarget]]
    streams: Mapping[str, str]
    groups: Mapping[str, int]
    slots: Mapping[tuple[str, str], str]
    seed: int
    when: int | str = 0
    salt: tuple[int, ...] = (0, 0)
    averages: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    recompute: frozenset[str] = frozenset()
    seed_dropout: bool = False
    draws: Mapping[str, MaskSample] = field(default_factory=dict)
    pairs: Mapping[str, Pairs] = field(default_factory=dict)
    around: Callable[[Key], AbstractContextManager[Any]] = lambda key: nullcontext()

    def noise(self, stream: str, batch: Batch) -> Noise:
        return Noise(self.seed, stream, self.when, batch.number)

    def reseed(self, what: str) -> None:
        """Seeds dropout by what comes next, so that it does not hang on who else is in the recipe."""
        if self.seed_dropout:
            seed_torch(self.dropout_seed(what))

    def dropout_seed(self, what: str) -> int:
        return arithmetic.prng_key(self.seed, "dropout", what, self.when, *self.salt) >> 65

    def draw(self, key: MaskKey, batch: Batch, values: Mapping[str, Any]) -> MaskSample:
        if key.mask in self.draws:
            return self.draws[key.mask]
        mask = self.masks[key.mask]
        with torch.no_grad(), _full_precision(batch):
            drawn = mask.draw(
                self.noise(self.streams[key.mask], batch), self.sites[batch.source][key.input], batch, **values
            )
        checked: MaskSample = given(drawn, MaskSample, mask.draw)
        return checked

    def choose(self, key: PairsKey, batch: Batch, values: Mapping[str, Any]) -> Pairs:
        pairs = self.pairs[key.pairing] if key.pairing in self.pairs else self._wrong(key.pairing, batch, values)
        return self._keep(key, pairs, batch) if key.keep else pairs

    def _wrong(self, name: str, batch: Batch, values: Mapping[str, Any]) -> Pairs:
        """Wrong pairs of each group, their indices counted from the batch's first row."""
        group, found = min(self.groups[name], batch.size), []
        noise = self.noise(name, batch)
        with torch.no_grad(), _full_precision(batch):
            for start in range(0, batch.size, group):
                rows = slice(start, start + group)
                wrong = self.pairings[name].wrong
                pairs = wrong(
                    noise.rows(rows), batch.rows(rows), **{key: value.rows(rows) for key, value in values.items()}
                )
                found.append(shifted(given(pairs, Pairs, wrong), start))
        return (
            found[0]
            if len(found) == 1
            else Pairs(
                *(torch.cat([getattr(pairs, name) for pairs in found]) for name in ("image", "text", "anchor", "valid"))
            )
        )

    def _keep(self, key: PairsKey, pairs: Pairs, batch: Batch) -> Pairs:
        """Leaves floor(keep * group) rows of each group as they are, chosen by the pairing's own noise."""
        group = min(self.groups[key.pairing], batch.size)
        lot = torch.split(self.noise(key.pairing, batch)("keep"), group)
        rank = torch.cat([part.argsort(dim=0, stable=True).argsort(dim=0, stable=True) for part in lot])
        most = torch.cat([torch.full_like(part, int(part.shape[0] * key.keep)) for part in lot])
        matched = rank < most
        own = torch.arange(batch.size, device=matched.device)
        return Pairs(
            torch.where(matched, own, pairs.image),
            torch.where(matched, own, pairs.text),
            torch.where(matched, own, pairs.anchor),
            pairs.valid | matched,
            matched,
        )


def _full_precision(batch: Batch) -> AbstractContextManager[Any]:
    """Autocast off: it would multiply in half precision even what masks and pairings get in full."""
    return torch.autocast(batch.number.device.type, enabled=False)


def shifted(pairs: Pairs, by: int) -> Pairs:
    """The same pairs with indices counted from a row that lies `by` before."""
    return replace(pairs, image=pairs.image + by, text=pairs.text + by, anchor=pairs.anchor + by)


def run(share: PassGroup, stage: ExecutionContext, batch: Batch) -> dict[Key, Any]:
    """The values of all work of a share, by key (passes by their view without its reading)."""
    values: dict[Key, Any] = {}
    for work in share.work:
        path, what = work.key.place
        with stage.around(work.key), work_of(path, what, getattr(stage, HOLDERS[path[0]])[path[1]]):
            values.update(_one(work, stage, batch, values))
    return values


def read(view: View, values: Mapping[Key, Any]) -> Any:
    """A view's value with its reading applied."""
    value = values[view.run]
    return only_visible(value, values[view.sight]) if view.sight else value


@dataclass(frozen=True)
class Inputs:
    """What passes read: `contracts.passes.PassInputs` of the values computed so far."""

    context: ExecutionContext
    batch: Batch
    values: Mapping[Key, Any]

    def value(self, key: Key) -> Any:
        return self.values[key]

    def read(self, view: View) -> Any:
        return read(view, self.values)

    def spec(self, part: str, input: str | None = None) -> Any:
        own = self.context.parts[part]
        return own.spec if input is None else own.spec_for(self.context.sites[self.batch.source][input].fields)

    def stream(self, projection: str, encoder: str) -> str:
        return self.context.slots[projection, encoder]


def _one(work: PlanNode[Key], stage: ExecutionContext, batch: Batch, values: dict[Key, Any]) -> Mapping[Any, Any]:
    """What an entry of a plan computes, by key."""
    key = work.key
    if isinstance(key, MaskKey):
        return {key: stage.draw(key, batch, _watched(stage.masks[key.mask].views(bare(stage.inputs)), values))}
    if isinstance(key, PairsKey):
        return {key: stage.choose(key, batch, _watched(stage.pairings[key.pairing].views(stage.inputs), values))}
    with nullcontext() if work.trained else _untrained():
        return dict(zip(key.members, apart(_pass(key, work.reading, stage, batch, values), len(key.members))))


@contextmanager
def _untrained() -> Iterator[None]:
    """Without gradient. Autocast keeps no weight that it casts in here: in torch before 2.11 a trained pass of the same
    part would take it up, and its weights would get no gradient (pytorch issue 112583)."""
    kept = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_autocast_cache_enabled(kept)


def _watched(views: Mapping[str, View], values: Mapping[Key, Any]) -> dict[str, Any]:
    """What a mask or pairing looks at: its views without gradient, float32 or wider once they are read."""
    return {name: widened(read(view, values).map(Tensor.detach)) for name, view in views.items()}


def _pass(
    key: View,
    want: RequestedOutputs,
    stage: ExecutionContext,
    batch: Batch,
    values: Mapping[Key, Any],
) -> Any:
    """One pass, its output held against what the kind of view says that a part gives."""
    part, given_ = stage.parts[key.part], Inputs(stage, batch, values)
    output = given(_call(part, stage, key, batch, *key.arguments(given_), want), key.output, part.forward)
    return key.completed(output, given_)


def _call(part: nn.Module, stage: ExecutionContext, key: View, batch: Batch, *inputs: Any) -> Any:
    """One pass."""
    stage.reseed(key.title)
    call: Callable[..., Any] = part
    if key.averaged:
        averages = _averaged(key, part, stage)
        call = partial(_by_averages, part, averages)
    if stage.seed_dropout and len(key.members) > 1:
        seeds = [stage.dropout_seed(view.title) for view in key.members]
        call = partial(drawn_by_input, call, part, seeds, batch.number)
    if key.part in stage.recompute and torch.is_grad_enabled():
        # Dropout is to be drawn again as it was: torch keeps the random state of devices that it sees a tensor of among
        # the arguments, and it does not look into an Encoded.
        return checkpoint(lambda _, *given: call(*given), batch.number, *inputs, use_reentrant=False)
    return call(*inputs)


def _by_averages(part: nn.Module, averages: dict[str, Tensor], *inputs: Any) -> Any:
    return functional_call(part, averages, inputs)


def _averaged(key: View, part: nn.Module, stage: ExecutionContext) -> dict[str, Tensor]:
    """What stands in place of a part's own weights, and copies of its buffers, which the pass may change."""
    if key.part not in stage.averages:
        raise ViewError(f"no average of the part '{key.part}' is kept: nothing that trains looks at it by .ema()")
    return {name: buffer.clone() for name, buffer in part.named_buffers()} | dict(stage.averages[key.part])
