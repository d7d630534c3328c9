"""From a recipe to its pieces: sources, fields, parts, masks, pairings, objectives, and the System of them all."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.config import Config
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.mask import Site
from vlobjectives.contracts.objective import Objective
from vlobjectives.contracts.parts import CannotBuild, Decoder, Encoder, Fusion, Head, Part, Projection, Spec
from vlobjectives.contracts.source import Source
from vlobjectives.contracts.views import Input, View
from vlobjectives.functional import noise
from vlobjectives.recipe.model import source_path
from vlobjectives.registry import Registry
from vlobjectives.running.fields import Fields, input_fields
from vlobjectives.running.mixing import Feed, turns
from vlobjectives.running.system import Settings, System


@dataclass
class Pieces:
    """What a recipe names, made but not yet joined. Readers are the same for all sources."""

    feeds: Mapping[str, Feed]
    inputs: Mapping[str, Input]

    @property
    def source(self) -> Source:
        """The first source, which is the only one where nothing is mixed."""
        return next(iter(self.feeds.values())).source

    @property
    def fields(self) -> Fields:
        """The first source's; what readers learned is that of all."""
        return next(iter(self.feeds.values())).fields

    def fields_on(self, sources: Sequence[str] | None) -> Fields:
        """The fields of the first of these sources; None: of the first of all."""
        return self.feeds[sources[0]].fields if sources else self.fields

    def source_at(self, step: int) -> str:
        """The name of the source that a training step's batch comes from."""
        return list(self.feeds)[turns(self.feeds)(step)[0]]

    def size(self, split: str) -> int:
        """Samples of a split, of all sources together."""
        return sum(feed.source.size(split) for feed in self.feeds.values())

    def splits(self) -> tuple[str, ...]:
        """The splits in which some source has samples."""
        return tuple(dict.fromkeys(split for feed in self.feeds.values() for split in feed.source.splits()
                                   if feed.source.size(split)))

    def digest(self) -> str:
        """What the data is: the source's own digest, of several one over theirs."""
        if len(self.feeds) == 1:
            return self.source.digest()
        text = "\n".join(f"{name} {feed.source.digest()}" for name, feed in self.feeds.items())
        return hashlib.sha256(text.encode()).hexdigest()

    def normalised(self, batch: Batch) -> Batch:
        """The batch as encoders get it, by the mean and spread of its own source."""
        return self.feeds[batch.source].fields.normalised(batch)

    def read(self, part: str) -> Mapping[str, FieldSpec]:
        """The fields that an encoder reads; of a mix those of the source whose clips have most frames."""
        of = (feed.fields.specs(input_fields(self.inputs, feed.fields.inputs, part)) for feed in self.feeds.values())
        return max(of, key=lambda specs: max((spec.frames for spec in specs.values()), default=1))


class Trouble(Exception):
    """Something in a recipe cannot be made; `path` is where it stands. `check` turns it into a Problem."""

    def __init__(self, path: tuple[str, ...], why: str, mend: str = ""):
        super().__init__(why)
        self.path, self.why, self.mend = path, why, mend


def config_of(cls: type, options: Mapping[str, Any]) -> Config:
    """The plug-in's Config of these options, strict as JSON is. Raises pydantic's ValidationError."""
    return cls.Config.model_validate_json(json.dumps(options), strict=True)


def pieces(recipe: Any, registry: Registry, described: bool = False, samples: bool = True) -> Pieces:
    """Sources, readers and inputs of a recipe; readers are not fitted yet.

    described  a source or reader that can tell from its Config alone what it gives (a classmethod `described`) does
               so and opens no file: what is made then serves for shapes, not for samples
    samples    False: so for the source alone; readers read
    """
    sources = {name: make_source(recipe, registry, name, described or not samples) for name in recipe.sources}
    readers: dict[str, Any] = {}
    for name in recipe.fields:
        readers[name] = make_reader(recipe, registry, name, readers, described)
    inputs = {name: Input(name, entry.part, entry.mask) for name, entry in recipe.inputs.items()}
    weights = {name: entry.weight for name, entry in (recipe.data.mix or {}).items()}
    return Pieces({name: Feed(source, _fields(recipe, registry, name, source, readers), weights.get(name, 1.0))
                   for name, source in sources.items()}, inputs)


def make_source(recipe: Any, registry: Registry, name: str = "", described: bool = False) -> Source:
    """A source of a recipe. Raises Trouble, or DataError where the data is not what it should be."""
    entry = recipe.sources[name]
    cls = registry.get("source", entry.type)
    return _made(source_path(name), lambda: _told(cls, described)(
        config_of(cls, entry.options), **_offered(cls, max_pixels=recipe.data.max_pixels)))


def _fields(recipe: Any, registry: Registry, name: str, source: Source, readers: Mapping[str, Any]) -> Fields:
    """The fields as a source fills them."""
    renamed = {ours: own for own, ours in recipe.data.mix[name].rename.items()} if name else {}
    again = {ours: source.columns[own] for ours, own in renamed.items() if own in source.columns}
    return Fields({**source.columns, **again}, readers, {field: recipe.column(field) for field in recipe.fields},
                  {field: tuple(entry.fields) for field, entry in recipe.inputs.items()},
                  lone_fields(recipe, registry, name), renamed, name)


def make_reader(recipe: Any, registry: Registry, name: str, readers: Mapping[str, Any], described: bool = False) -> Any:
    """The reader of a field; `readers` holds those that it names."""
    entry = recipe.fields[name]
    cls = registry.get("reader", entry.type)
    named = {"with": readers.get(entry.with_), "of": readers.get(entry.of) if entry.of != name else None}
    shared = _offered(cls, **{key: reader for key, reader in named.items() if reader is not None})
    return _made(("fields", name), lambda: _told(cls, described)(config_of(cls, entry.options), **shared))


def _told(cls: type, described: bool) -> Any:
    """What makes a source or reader: its class, or something that only says what that would give."""
    if not described or not hasattr(cls, "described"):
        return cls

    def make(config: Config, **more: Any) -> Any:
        told = cls.described(config)
        if told is None:
            return cls(config, **more)
        return SimpleNamespace(config=config, columns=told, spec=told)
    return make


def lone_fields(recipe: Any, registry: Registry, source: str = "") -> tuple[str, ...]:
    """Fields that a mask, or an objective that is computed on a source's batches, reads by name."""
    found: dict[str, None] = {}
    objectives = {name: entry for name, entry in recipe.objectives.items() if source in (entry.sources or (source,))}
    for kind, entries in (("objective", objectives), ("mask", recipe.masks)):
        for entry in entries.values():
            config = config_of(registry.get(kind, entry.type), entry.options)
            found |= dict.fromkeys(config.named("field").values())
    return tuple(found)


def system(recipe: Any, registry: Registry, made: Pieces, processes: int = 1) -> System:
    """The System of a recipe: first weights by seed, nothing loaded. May run under `torch.device("meta")`."""
    parts = build_parts(recipe, registry, made)
    masks = {name: _plain("mask", ("masks", name), entry, registry) for name, entry in recipe.masks.items()}
    pairings = {name: _plain("pairing", ("pairings", name), entry, registry) for name, entry in recipe.pairings.items()}
    objectives = {name: _plain("objective", ("objectives", name), entry, registry)
                  for name, entry in recipe.objectives.items()}
    micro = recipe.data.micro_batch or recipe.data.batch // processes
    settings = Settings(
        seed=recipe.seed,
        weights={name: entry.weight for name, entry in recipe.objectives.items()},
        group={name: entry.group if entry.group is not None else type(objectives[name]).group
               for name, entry in recipe.objectives.items()},
        streams={name: entry.stream or name for name, entry in recipe.masks.items()},
        pairing_groups={name: entry.group or micro for name, entry in recipe.pairings.items()},
        steps=recipe.run.steps, share=recipe.plan.share, recompute=frozenset(recipe.plan.checkpoint),
        gradient=recipe.run.gradient,
        sources={name: entry.sources for name, entry in recipe.objectives.items() if entry.sources is not None})
    for name, objective in objectives.items():
        of = made.fields_on(recipe.objectives[name].sources)
        build_objective(name, objective, made.inputs, parts, of, recipe.seed)
    whole = System(parts, objectives, masks, pairings, made.inputs, sites(made, parts),
                   projection_slots(parts), settings)
    tie(whole)
    whole.keep_averages(recipe.run.ema.decay)
    return whole


def _plain(kind: str, path: tuple[str, ...], entry: Any, registry: Registry) -> Any:
    cls = registry.get(kind, entry.type)
    return _made(path, lambda: cls(config_of(cls, entry.options)))


def _made(path: tuple[str, ...], make) -> Any:
    try:
        return make()
    except CannotBuild as error:
        raise Trouble(path, error.why, error.mend) from error


def _offered(cls: type, **offered: Any) -> dict[str, Any]:
    """The host's keywords that a constructor asks for."""
    import inspect
    wanted = inspect.signature(cls.__init__).parameters
    if any(p.kind is p.VAR_KEYWORD for p in wanted.values()):
        return offered
    return {key: value for key, value in offered.items() if key in wanted}


def build_parts(recipe: Any, registry: Registry, made: Pieces, failed: list[Trouble] | None = None) -> dict[str, Part]:
    """Parts in the order in which they name each other, each with first weights of its own dotted name.

    failed  takes in what cannot be built, instead of raising the first; what needs such a part is left out
    """
    classes = {name: registry.get("part", entry.type) for name, entry in recipe.model.items()}
    configs = {name: config_of(classes[name], entry.options) for name, entry in recipe.model.items()}
    parts: dict[str, Part] = {}
    waiting = list(recipe.model)
    while waiting:
        ready = [name for name in waiting if all(other in parts for other in configs[name].named("part").values())]
        if not ready and failed:
            break
        if not ready:
            name = waiting[0]
            raise Trouble(("model", name), "needs a part that is missing or that needs this one: "
                          + ", ".join(configs[name].named("part").values()), "name parts that are in `model`")
        for name in ready:
            waiting.remove(name)
            try:
                with seeded(recipe.seed, f"model.{name}"):
                    parts[name] = _made(("model", name), lambda name=name: _part(
                        classes[name], configs[name], name, parts, made))
            except Trouble as error:
                if failed is None:
                    raise
                failed.append(error)
    return {name: parts[name] for name in recipe.model if name in parts}


def _part(cls: type[Part], config: Config, name: str, parts: Mapping[str, Part], made: Pieces) -> Part:
    named = {key: parts[other].spec for key, other in config.named("part").items()}
    if issubclass(cls, Encoder):
        return cls(config, made.read(name), **named)
    if not issubclass(cls, (Fusion, Decoder, Projection, Head)):
        raise Trouble(("model", name), f"{cls.__name__} is no part of a model")
    return cls(config, **named, **{key: made.fields.spec(field) for key, field in config.named("field").items()})


class seeded:
    """Torch's random state set from a dotted name inside, and put back after."""

    def __init__(self, seed: int, name: str):
        self.key = noise.key(seed, "first weights", name) >> 65

    def __enter__(self) -> None:
        self.fork = torch.random.fork_rng(devices=[])
        self.fork.__enter__()
        torch.manual_seed(self.key)

    def __exit__(self, *error: Any) -> None:
        self.fork.__exit__(*error)


def build_objective(name: str, objective: Objective, inputs: Mapping[str, Input], parts: Mapping[str, Part],
                    fields: Fields, seed: int) -> None:
    """Lets an objective make its own modules; it gets by name the Specs that its `build` asks for."""
    import inspect
    offered: dict[str, Spec | FieldSpec] = {key: parts[inputs[of].part].spec for key, of in
                                            objective.config.named("input").items() if inputs[of].part in parts}
    for key, view in objective.views(inputs).items():
        if view.part in parts:
            offered[key] = parts[view.part].spec
    offered |= {key: parts[part].spec for key, part in objective.config.named("part").items() if part in parts}
    offered |= {key: fields.spec(field) for key, field in objective.config.named("field").items()}
    wanted = inspect.signature(objective.build).parameters
    with seeded(seed, f"objectives.{name}"):
        _made(("objectives", name), lambda: objective.build(**{k: v for k, v in offered.items() if k in wanted}))


def sites(made: Pieces, parts: Mapping[str, Part]) -> dict[str, dict[str, Site]]:
    """Where masks work: source -> for each input whose encoder is there."""
    return {name: _sites(made, feed.fields, parts) for name, feed in made.feeds.items()}


def _sites(made: Pieces, of: Fields, parts: Mapping[str, Part]) -> dict[str, Site]:
    found = {}
    for name, x in made.inputs.items():
        if x.part not in parts:
            continue
        spec, fields = parts[x.part].spec, of.specs(of.inputs[name])
        tokens = [field for field in fields.values() if field.kind == "tokens"]
        frames = max(field.frames for field in fields.values()) if "frames" in spec.can else spec.frames
        length = sum(field.shape[0] for field in tokens) if tokens else spec.length // spec.frames * frames
        special = tokens[0].special if tokens else {}
        found[name] = Site(name, length, spec.grid, frames, fields, special,
                           max(field.vocabulary for field in fields.values()))
    return found


def projection_slots(parts: Mapping[str, Part]) -> dict[tuple[str, str], str]:
    """(projection, encoder) -> the Config field of the projection that names that encoder."""
    return {(name, encoder): slot for name, part in parts.items() if isinstance(part, Projection)
            for slot, encoder in part.config.named("part").items()}


def tie(whole: System) -> None:
    """Makes parts share the parameters that they declare shared; one that is itself shared leads on to its owner."""
    owners = {f"{name}.{own}": other for name, part in whole.model.items() for own, other in part.ties().items()}
    for name, part in whole.model.items():
        for own in part.ties():
            other, holder, _, leaf = f"{name}.{own}", *own.rpartition(".")
            while other in owners:
                other = owners[other]
            try:
                shared = whole.model.get_parameter(other)
            except AttributeError as error:
                raise Trouble(("model", name), f"is tied to '{other}', which the model does not have") from error
            setattr(part.get_submodule(holder), leaf, shared)


def load_weights(whole: System) -> list[str]:
    """Lets parts load the weights that their Configs name, ties kept; averages start from them. Lines for the log."""
    lines = [line for name, part in whole.model.items()
             for line in _made(("model", name), part.load_weights)]
    tie(whole)
    whole.averages.start(whole.model)
    return lines


def view_parts(view: View) -> set[str]:
    """Every part that a view runs through."""
    return {view.part}.union(*(view_parts(fed) for fed in view.fed)) if view.fed else {view.part}


def trainable(module: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
