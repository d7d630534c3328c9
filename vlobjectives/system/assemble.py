"""From a recipe to the System of all that it names: parts, masks, pairings and objectives on its `pieces`."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from vlobjectives.contracts.balancer import Balancer
from vlobjectives.contracts.config import PartConfig
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.parts import Decoder, Encoder, Fusion, Head, Part, Projection, Spec
from vlobjectives.contracts.views import Input, View
from vlobjectives.data.collate import Fields
from vlobjectives.data.data_module import DataModule
from vlobjectives.functional import noise
from vlobjectives.planning import execute
from vlobjectives.plugin_loading.attribution import ContractError, refused, work_of
from vlobjectives.plugin_loading.instantiate import BuildError, asked_for, met, placed
from vlobjectives.plugin_loading.load import reason_of
from vlobjectives.resolved.entries import SECTION, Named
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.system.averages import averaged_modules
from vlobjectives.system.input_specs import KnownSpecs, sites
from vlobjectives.system.live_sources import live_sources
from vlobjectives.system.reached_parts import shared
from vlobjectives.system.settings import Settings
from vlobjectives.system.system import System

S = TypeVar("S", bound=System)
SHOWN = 4
"""Tensors that are named one by one."""


def system(resolved: Resolved, made: DataModule) -> System:
    """The System of a recipe: first weights by seed, nothing loaded. May run under `torch.device("meta")`."""
    return system_of(System, resolved, made)


def system_of(kind: type[S], resolved: Resolved, made: DataModule) -> S:
    """As `system`, of another class of systems."""
    recipe, parts = resolved.recipe, build_parts(resolved, made)
    masks, pairings, objectives = (_plain(resolved, each) for each in ("mask", "pairing", "objective"))
    settings = Settings(
        seed=recipe.seed,
        weights={name: entry.weight for name, entry in recipe.objectives.items()},
        group={
            name: entry.group if entry.group is not None else type(objectives[name]).group
            for name, entry in recipe.objectives.items()
        },
        streams={name: entry.stream or name for name, entry in recipe.masks.items()},
        pairing_groups={name: entry.group or resolved.rows for name, entry in recipe.pairings.items()},
        steps=recipe.run.steps,
        share=recipe.plan.share,
        # A compiled part draws dropout by a rule of the compiler's own, which no input's rows can be told apart in.
        stack=recipe.plan.stack and recipe.run.compile == "none",
        recompute=frozenset(recipe.plan.checkpoint),
        gradient=recipe.run.gradient,
    )
    slots, balance = projection_slots(parts), build_balancer(resolved)
    whole = kind(parts, objectives, masks, pairings, made.inputs, sites(made, parts), slots, settings, balance)
    sources = {name: live_sources(whole, made, name, recipe.objectives[name].sources) for name in objectives}
    for name, objective in objectives.items():
        build_objective(name, objective, made.inputs, parts, made.fields_on(sources[name]), recipe.seed)
    tie(whole)
    balanced_on = () if recipe.balance is None else recipe.balance.on or shared(whole)
    some = {name: own for name, own in sources.items() if len(own) < len(made.feeds)}
    whole.settings = replace(settings, sources=some, balanced_on=balanced_on)
    whole.keep_averages(recipe.run.ema.decay)
    return whole


def build_balancer(resolved: Resolved) -> Balancer | None:
    """What `balance` of a recipe says, for all of its objectives; None where it says nothing."""
    one = resolved.of("balancer").get("")
    if one is None:
        return None
    with seeded(resolved.recipe.seed, "balance"), work_of(("balance",), "making it", one.cls):
        made: Balancer = placed(
            ("balance",), lambda: one.cls(one.config, tuple(resolved.recipe.objectives)), draws=True
        )
    return made


NO_SPEC = "its constructor sets it: self.spec = Spec(width=...), what the part gives"


def _made(one: Named) -> Any:
    return one.cls(one.config)


def _plain(resolved: Resolved, kind: str) -> dict[str, Any]:
    """All of a kind that is made of its Config alone, by name."""
    return {name: placed((SECTION[kind], name), partial(_made, one)) for name, one in resolved.of(kind).items()}


def build_parts(resolved: Resolved, made: DataModule, failed: list[BuildError] | None = None) -> dict[str, Part]:
    """Parts in the order in which they name each other, each with first weights of its own dotted name.

    failed  takes in what cannot be built, instead of raising the first; what needs such a part is left out
    """
    named = resolved.of("part")
    parts: dict[str, Any] = {}
    configs = {name: one.config for name, one in named.items()}
    waiting = list(named)
    while waiting:
        ready = [name for name in waiting if all(other in parts for other in configs[name].named("part").values())]
        if not ready and failed:
            break
        if not ready:
            name = waiting[0]
            raise BuildError(
                ("model", name),
                "needs a part that is missing or that needs this one: "
                + ", ".join(configs[name].named("part").values()),
                "name parts that are in `model`",
            )
        for name in ready:
            waiting.remove(name)
            try:
                with seeded(resolved.recipe.seed, f"model.{name}"):
                    parts[name] = _built(named[name].cls, configs[name], name, parts, made)
            except BuildError as error:
                if failed is None:
                    raise
                failed.append(error)
    return {name: parts[name] for name in named if name in parts}


def _built(cls: type[Part], config: Any, name: str, parts: Mapping[str, Part], made: DataModule) -> Part:
    """A part. What a library asserts, asked for the recipe's values, is as good as the part's own refusal."""
    path = ("model", name)
    try:
        with work_of(path, "building it", cls):
            part = placed(path, lambda: _part(cls, config, name, parts, made), draws=True)
            if not isinstance(getattr(part, "spec", None), Spec):
                raise ContractError(f"{cls.__name__} has no `spec` once it is made", NO_SPEC, cls.__init__)
            return part
    except BuildError:
        raise
    except Exception as error:
        if not refused(error, cls):
            raise
        raise BuildError(path, f"it cannot be built so: {reason_of(error)}") from error


def _part(cls: type[Part], config: PartConfig, name: str, parts: Mapping[str, Part], made: DataModule) -> Part:
    named = config.held("part", {other: part.spec for other, part in parts.items()})
    if issubclass(cls, Encoder):
        return cls(config, made.read(name), **named)
    if not issubclass(cls, (Fusion, Decoder, Projection, Head)):
        raise BuildError(("model", name), f"{cls.__name__} is no part of a model")
    return cls(config, **named, **config.held("field", made.fields.specs(config.named("field").values())))


class seeded:
    """Torch's random state set from a dotted name inside, and put back after."""

    def __init__(self, seed: int, name: str):
        self.key = noise.prng_key(seed, "first weights", name) >> 65

    def __enter__(self) -> None:
        self.fork = torch.random.fork_rng(devices=[])
        self.fork.__enter__()
        execute.seed_torch(self.key)

    def __exit__(self, *error: Any) -> None:
        self.fork.__exit__(*error)


def build_objective(
    name: str, objective: Objective, inputs: Mapping[str, Input], parts: Mapping[str, Part], fields: Fields, seed: int
) -> None:
    """Lets an objective make its own modules; it gets by name the Specs that its `build` asks for."""
    config, specs = objective.config, {other: part.spec for other, part in parts.items()}
    known = KnownSpecs(parts, fields)
    offered: dict[str, Spec | FieldSpec] = config.held(
        "input", {key: known.spec(one.part, key) for key, one in inputs.items() if one.part in specs}
    )
    for key, view in objective.views(inputs).items():
        if view_parts(view) <= parts.keys():
            offered[key] = view.spec(known)
    _read(name, objective, {view.part for view in objective.views(inputs).values()}, parts)
    offered |= config.held("part", specs) | config.held("field", fields.specs(config.named("field").values()))
    met(objective.build, offered, "call its arguments as its views, and as its Config's names of parts, fields, inputs")
    seen = [*objective.views(inputs), *config.held("part", parts), "batch", "noise", "gather"]
    met(objective.counts, dict.fromkeys(seen))
    with seeded(seed, f"objectives.{name}"):
        placed(("objectives", name), lambda: objective.build(**asked_for(objective.build, offered)), draws=True)
    if averaged_modules(objective) and "averaged" not in asked_for(objective.forward, {"averaged": None}):
        why = f"`averaged` names {', '.join(sorted(objective.averaged))}, and forward does not ask for `averaged`"
        raise ContractError(why, "forward(self, ..., averaged): averaged[name](x)", objective.forward)


def _read(name: str, objective: Objective, seen: Collection[str], parts: Mapping[str, Part]) -> None:
    """Raises BuildError where a head cannot read what any of its objective's views gives."""
    given = {part: parts[part].spec for part in sorted(seen) if part in parts}
    for head in objective.config.named("part").values():
        width = one.width if isinstance(one := parts.get(head), Head) else 0
        if width and given and not any(width in (spec.width, spec.pooled) for spec in given.values()):
            of = ", ".join(parts[head].config.named("part").values())
            wide = " and ".join(f"'{part}' (width {spec.width})" for part, spec in given.items())
            own = next(iter(given.values())).width
            hint = f"model.{head}.width={own}, or " if "width" in type(parts[head].config).model_fields else ""
            raise BuildError(
                ("model", head),
                f"'{head}' (of: {of}, width {width}) cannot read {wide}, which objectives.{name} hands it",
                f"make them equal: {hint}width {width} for " + " and ".join(given),
            )


def projection_slots(parts: Mapping[str, Part]) -> dict[tuple[str, str], str]:
    """(projection, encoder) -> the Config field of the projection that names that encoder."""
    return {
        (name, encoder): slot
        for name, part in parts.items()
        if isinstance(part, Projection)
        for slot, encoder in part.config.named("part").items()
    }


def tie(whole: System) -> None:
    """Makes parts share the parameters that they declare shared; one that is itself shared leads on to its owner."""
    owners = {f"{name}.{own}": other for name, part in whole.model.items() for own, other in part.ties().items()}
    for name, part in whole.model.items():
        for own in part.ties():
            other, holder, _, leaf = f"{name}.{own}", *own.rpartition(".")
            while other in owners:
                other = owners[other]
            try:
                shared = whole.get_submodule("model").get_parameter(other)
            except AttributeError as error:
                raise BuildError(("model", name), f"is tied to '{other}', which the model does not have") from error
            setattr(part.get_submodule(holder), leaf, shared)


def load_weights(whole: System) -> list[str]:
    """Lets parts load the weights that their Configs name, ties kept; averages start from them. Lines for the log."""
    lines = []
    for name, part in whole.model.items():
        said = placed(("model", name), part.load_weights, draws=True)
        if said and (wrong := unfinite(dict(part.named_parameters()))):
            raise BuildError(
                ("model", name),
                f"the weights that it loaded hold NaN or infinity: {wrong}",
                "take weights of a training that went well, or leave `weights` out",
            )
        lines += said
    tie(whole)
    whole.averages.start(whole)
    return lines


def unfinite(tensors: Mapping[str, Tensor]) -> str:
    """The names of tensors that hold NaN or infinity, of many the first."""
    wrong = [name for name, value in tensors.items() if not value.isfinite().all()]
    return ", ".join(wrong[:SHOWN]) + (f" and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else "")


def view_parts(view: View) -> set[str]:
    """Every part that a view runs through."""
    return {view.part}.union(*(view_parts(fed) for fed in view.fed)) if view.fed else {view.part}


def trainable(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
