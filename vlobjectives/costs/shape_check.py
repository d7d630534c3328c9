"""A step without numbers: finds shape mistakes before training and tells what a step costs.

Needs no data, no weights and no network: parts are built on the meta device, their parameters replaced by fake ones,
and a fake batch runs forward and backward.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode

from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.parts import CannotBuild, Part
from vlobjectives.contracts.passes import Key
from vlobjectives.contracts.values import Encoded, Fused, Joint
from vlobjectives.contracts.views import View
from vlobjectives.costs import fake
from vlobjectives.costs.meter import BACKWARD, BALANCE, BATCH, CASTS, GRADIENTS, OPTIMISER, WEIGHTS, Meter
from vlobjectives.costs.plan_costs import Memory
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.errors import PluginError
from vlobjectives.plugin_loading.attribution import ContractError, KeyPath, whose, work_of
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.plugin_loading.load import reason_of
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.runtime.resources import autocast_of
from vlobjectives.system import assemble, step_statistics
from vlobjectives.system.losses import Losses
from vlobjectives.system.step_statistics import Statistics
from vlobjectives.system.system import System
from vlobjectives.training.balance import Balance
from vlobjectives.training.schedule import live_sets

REST = (BATCH, WEIGHTS, CASTS, GRADIENTS, OPTIMISER, BACKWARD, BALANCE)


@dataclass
class Step:
    """What a shape check of a micro-batch cost.

    forward   title of a pass or draw, or name of an objective -> FLOPs
    backward  FLOPs, what is recomputed included, and the objectives' own gradients, which `own_gradients` are of it
    shapes    title of a pass -> (rows, tokens of each stream)
    unknown   operators without a formula -> how often they ran
    """

    forward: dict[str, int]
    backward: int
    memory: Memory
    shapes: dict[str, tuple[int, tuple[int, ...]]]
    unknown: dict[str, int]
    own_gradients: int = 0


@dataclass
class ShapeCheck:
    """A system without numbers.

    fields       source -> input or lone field -> the FieldSpecs of its row
    rows         of a micro-batch
    device, precision  what is counted for; GPU attention is fused, whatever computes it here
    micro_batches  of a step, over all processes
    accumulates  gradients of earlier micro-batches are there when a micro-batch begins
    idle         terms, as `objective/term`, that trained nothing in a step so far, and why
    """

    system: System
    fields: Mapping[str, Mapping[str, Mapping[str, FieldSpec]]]
    rows: int
    mode: FakeTensorMode
    device: str = "cpu"
    precision: str = "fp32"
    micro_batches: int = 1
    accumulates: bool = False
    idle: dict[str, str] = field(default_factory=dict)
    _keys: dict[str, Key | str] = field(default_factory=dict)

    def step(self, names: Sequence[str], step: int, source: str = "", compares: bool = False) -> Step:
        """Forward and backward with these objectives live, on a batch of this source; `compares`: their gradients are
        compared. Raises BuildError at who fails."""
        meter = Meter()
        shapes: dict[str, tuple[int, tuple[int, ...]]] = {}
        gpu = fake.as_on_gpu() if self.device == "cuda" else nullcontext()
        try:
            with torch.autograd.set_detect_anomaly(False), self._watched(meter, shapes), gpu, self.mode:
                held = self._run(meter, names, step, source, compares)
        except Exception as error:
            raise self._trouble(error) from error
        forward = dict(meter.flops)
        trained = sum(p.numel() * p.element_size() for p in self.system.parameters() if p.requires_grad)
        moments = 2 * trained  # AdamW's two averages
        parts = {name: meter.memory.at_peak[name] for name in REST} | {OPTIMISER: moments}
        parts["activations"] = meter.memory.at_peak.total() - (sum(parts.values()) - moments)
        passes = {name: size for name, size in held.items() if name not in REST}
        holders = dict(meter.memory.at_peak) | {OPTIMISER: moments}
        return Step(
            forward,
            forward.pop(BACKWARD, 0) + forward.get(BALANCE, 0),
            Memory(meter.memory.peak + moments, parts, passes, holders),
            shapes,
            dict(meter.unknown),
            forward.pop(BALANCE, 0),
        )

    def _run(self, meter: Meter, names: Sequence[str], step: int, source: str, compares: bool) -> dict[str, int]:
        """The step; gives what each maker had alive between forward and backward."""
        self.system.zero_grad(set_to_none=True)
        for tensor in (*self.system.parameters(), *self.system.buffers()):
            meter.memory.see(tensor, WEIGHTS)
        if self.accumulates:
            self._gradients(meter, names)
        compared = [step + 1] if compares else []
        with meter:
            balance = Balance(self.system, torch.device("cpu"), compared).begin(step, names)
            with meter.work(BATCH):
                batch = fake.fake_batch(self.fields[source], self.rows, source)
            stage = self.system.stage(step)
            stage.around = lambda key: meter.work(self._named(key))
            losses = self.system(batch, step, names=names, stage=stage)
            with meter.work(BALANCE), self.system.backward_blamed():
                balance.add(losses, None)
            # For a balancer alone: a value that is held on to counts as kept for backward.
            values = {name: losses.value(name).detach() for name in losses.terms if balance.factors}
            statistics, total = losses.statistics, self._total(losses)
            del losses
            held = dict(meter.memory.alive)
            with meter.work(BACKWARD), self.system.backward_blamed():
                total.backward()
            with meter.work(BALANCE):
                balance.close(values, None)
                balance.learn()
        balance.end()
        self._after_step(names, statistics)
        return held

    def _after_step(self, names: Sequence[str], statistics: Statistics) -> None:
        """What objectives do after a step of so many micro-batches. Raises ContractError where a run could not keep
        what they write."""
        parts = step_statistics.joined(self.system.objectives, names, [statistics] * self.micro_batches)
        for name, given in parts.items():
            objective = self.system.objectives[name]
            before = {key: (x, x._version, x.shape) for key, x in objective.named_buffers()}
            step_statistics.hand_over(self.system.objectives, {name: given})
            saved = objective.state_dict(keep_vars=True)
            for key, now in objective.named_buffers():
                was, version, shape = before.get(key, (now, now._version, now.shape))
                why = ""
                if now.shape != shape:
                    why = f"after_step makes the buffer '{key}' {list(now.shape)}, and it was {list(shape)}"
                elif key not in saved and (now is not was or now._version != version):
                    why = f"after_step writes the buffer '{key}', which no checkpoint holds (persistent=False)"
                if why:
                    hint = "register_buffer(name, tensor) of a fixed shape, and write into it in place"
                    with work_of(("objectives", name), "after_step", objective):
                        raise ContractError(why, hint, objective.after_step)

    def _total(self, losses: Losses) -> Tensor:
        """The total; which terms train nothing is noted. A term that is held on to would count as kept for backward."""
        for name, term in losses.terms.items():
            if term.weight and not term.total.requires_grad:
                self.idle[name] = "hangs on nothing that is trained"
            elif isinstance(term.count, int | float) and not term.count:
                self.idle[name] = "says that nothing went into it (count 0)"
        return losses.total

    def _gradients(self, meter: Meter, names: Sequence[str]) -> None:
        """The gradients that earlier micro-batches of the step left."""
        parts = {work.key.part for work in self.system.plan(names).passes if work.trained}
        parts |= {part for name in names for part in self.system.objectives[name].config.named("part").values()}
        used = [self.system.model[part] for part in parts] + [self.system.objectives[name] for name in names]
        for module in used:
            for parameter in module.parameters():
                if parameter.requires_grad and parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter)
                    meter.memory.see(parameter.grad, GRADIENTS)

    @contextmanager
    def _watched(self, meter: Meter, shapes: dict[str, Any]) -> Iterator[None]:
        """Hooks that book objectives' own work on them, and note the shapes of passes."""

        def begins(name: str, *_: Any) -> None:
            meter.at_work = self._named(name)

        def ends(*_: Any) -> None:
            meter.at_work = ""

        def seen(part: nn.Module, args: Any, out: Any) -> None:
            if isinstance(self._keys.get(meter.at_work), View) and isinstance(out, Encoded | Fused | Joint):
                shapes.setdefault(meter.at_work, shape(part, out))

        hooks = [part.register_forward_hook(seen) for part in self.system.model.values()]
        for name, objective in self.system.objectives.items():
            hooks += [objective.register_forward_pre_hook(partial(begins, name)), objective.register_forward_hook(ends)]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _named(self, key: Key | str) -> str:
        name = key if isinstance(key, str) else key.title
        self._keys[name] = key
        return name

    @staticmethod
    def _trouble(error: Exception) -> BuildError:
        """Who failed, in words, at the key of the recipe where it stands."""
        note = whose(error)
        path: KeyPath = note.path if note else ("objectives",)
        what = note.what if note else "the sum of the losses"
        if isinstance(error, CannotBuild | ContractError):  # what a plug-in says itself, or is told that it should give
            return BuildError(path, error.why, error.hint)
        if isinstance(error, PluginError):
            return BuildError(path, error.what, error.hint)
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        hint = "look at the shapes that it is given"
        if note and not isinstance(error, RuntimeError | ValueError | IndexError | AssertionError):
            why, hint = reason_of(error), "correct the plug-in"
        if isinstance(error, DataDependentOutputException | DynamicOutputShapeException):
            why = f"it asks the device for a number ({error.func})"
            hint = "keep shapes fixed and numbers on the device: take(tokens, draw.index) in place of tokens[mask]"
        return BuildError(path, f"{what} failed: {why}", hint)


def shape(part: nn.Module, out: Any) -> tuple[int, tuple[int, ...]]:
    """Rows, and tokens of each stream with its class tokens and registers."""
    if isinstance(out, Encoded):
        registers = out.extra["registers"].shape[1] if "registers" in out.extra else 0
        return out.tokens.shape[0], (out.tokens.shape[1] + _classes(part, out) + registers,)
    if isinstance(out, Fused):
        return out.text.tokens.shape[0], (
            out.image.tokens.shape[1] + _classes(part, out.image),
            out.text.tokens.shape[1],
        )
    return out.pooled.shape[0], (1 if out.tokens is None else 1 + out.tokens.shape[1],)


def _classes(part: nn.Module, out: Encoded) -> int:
    """Class tokens beside the others: of a clip as many as it has frames."""
    spec = cast(Part, part).spec
    return out.cls.shape[1] if spec.classes and out.cls is not None else spec.classes


def build(resolved: Resolved, made: DataModule | None = None) -> ShapeCheck:
    """The dry system of a recipe, in training mode. Raises BuildError where it cannot be made."""
    made = made or build_data(resolved, described=True)
    with torch.device("meta"):
        system = assemble.system(resolved, made)
    with FakeTensorMode() as mode:
        fake.as_fake(system)
    system.train()
    device, precision = resolved.planned
    system.autocast = autocast_of("cpu", precision)
    if resolved.processes > 1:
        system.gathers = partial(fake.gathered, processes=resolved.processes)
    fields = {name: specs(made, name) for name in made.feeds}
    batch = resolved.recipe.data.batch
    micro_batches, accumulates = max(1, batch // resolved.rows), batch > resolved.together
    return ShapeCheck(system, fields, resolved.rows, mode, device, precision, micro_batches, accumulates)


def specs(made: DataModule, source: str = "") -> dict[str, dict[str, FieldSpec]]:
    """Input or lone field -> the FieldSpecs of its row, as a source fills them."""
    of = made.feeds[source].fields
    named = {**of.inputs, **{name: (name,) for name in of.lone}}
    return {name: of.specs(fields) for name, fields in named.items()}


def troubles(resolved: Resolved, made: DataModule | None = None) -> list[BuildError]:
    """What fails in a shape check, forward and backward, of every set of objectives that is ever live."""
    try:
        dry = build(resolved, made)
    except BuildError as error:
        return [error]
    found: dict[str, BuildError] = {}
    for source in dry.fields:
        for names, step in live_sets(dry.system.weights(source), resolved.recipe.run.steps).items():
            try:
                if names:
                    dry.step(names, step, source)
            except BuildError as error:
                found.setdefault(str(error), error)
    return list(found.values())
