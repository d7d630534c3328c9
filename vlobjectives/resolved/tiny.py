"""`--tiny`: any recipe as a trial of seconds that needs no data, no weights and no network.

What is kept is the system: every part in its own small form, masks, pairings, objectives, inputs, plan. What is
changed: sources and readers take the small form that their Configs give, or what these name in their place; every
objective is live from the first step at the largest weight that it ever has; two steps, or one for each source of a
mix. A value given on the command line stays as given.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from pydantic import ValidationError

from vlobjectives.contracts.config import Config, PartConfig, SourceConfig, Substitute
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.parts import CannotBuild, Encoder
from vlobjectives.contracts.source import Source
from vlobjectives.errors import PluginError
from vlobjectives.plugin_loading.attribution import given, work_of
from vlobjectives.plugin_loading.instantiate import asked_for, config_of
from vlobjectives.recipe import Loaded
from vlobjectives.recipe.layers import COMMAND_LINE
from vlobjectives.recipe.model import DataEntry, source_path
from vlobjectives.recipe.report import Report
from vlobjectives.recipe.schema import MIX, validated
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import taken_in
from vlobjectives.resolved.entries import Named, names

BATCH, COUNT = 8, 8
SIDES = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 336, 384, 448)
"""Pixels a side that are tried until every picture encoder takes them and has PATCHES patches for masks to choose."""
PATCHES = 16
STEPS = 2
CAPTION = "caption"
"""The column of the text, in all sources that may take another's place."""


def tiny(loaded: Loaded, registry: Registry, processes: int = 1) -> tuple[Loaded, str]:
    """The small form of a recipe, and a line that says so. Raises Refused where its plug-ins cannot be used."""
    loaded, report = taken_in(loaded, registry), Report()
    small = _Small(loaded, deepcopy(loaded.layered.data), registry)
    small.source(processes, SIDES[1])
    named = names(small.loaded, registry, report)
    report.refuse()
    small.parts(named)
    small.pictures(named, processes)
    small.words()
    small.times()
    gone = small.evaluations(named)
    made = small.loaded
    types = [", ".join(dict.fromkeys(one.type for one in every.recipe.sources.values())) for every in (made, loaded)]
    pixels = next((spec.shape[-1] for spec in small.columns().values() if spec.kind == "picture"), None)
    of = f" of {pixels} pixels" if pixels else ""
    line = (
        f"tiny: every part small, {types[0]}{of}"
        + (f" in place of {types[1]}" if of or types[0] != types[1] else "")
        + f", no weights, {made.recipe.run.steps} steps"
    )
    return made, line + (f"; left out: {', '.join(gone)}" if gone else "")


@dataclass
class _Small:
    """A recipe that becomes small.

    data     what is changed
    foreign  the sources whose place others took
    """

    before: Loaded
    data: dict[str, Any]
    registry: Registry
    foreign: set[str] = field(default_factory=set)

    @property
    def loaded(self) -> Loaded:
        layered = replace(self.before.layered, data=self.data)
        return Loaded(validated(layered), layered, self.before.path)

    def given(self, *path: str | int) -> bool:
        """Whether the command line set this."""
        spot = self.before.layered.spots.get(path)
        return spot is not None and spot.value.file == COMMAND_LINE

    def put(self, path: KeyPath, value: Any) -> None:
        """Sets a value, or with None takes it away, unless the command line set it."""
        if self.given(*path):
            return
        holder: Any = self.data
        for part in path[:-1]:
            holder = holder.setdefault(part, {})
        if value is None:
            holder.pop(path[-1], None)
        else:
            holder[path[-1]] = value

    @property
    def sources(self) -> dict[str, dict[str, Any]]:
        """The sources by name, as in a Recipe."""
        return self.data["data"].get("mix") or {"": self.data["data"]}

    def source(self, processes: int, pixels: int) -> None:
        """Every source's own small form, its pictures of so many pixels."""
        old = self.before.layered.data["data"]
        accumulates = old.get("micro_batch") is not None and old["micro_batch"] < old["batch"]
        fresh = {"batch": BATCH * processes} | ({"micro_batch": BATCH // 2} if accumulates else {})
        fresh |= {key: old[key] for key in {*DataEntry.model_fields} - {"type", "mix"} if self.given("data", key)}
        mix = old.get("mix") or {"": old}
        made = {name: self._small_source(name, entry, pixels) for name, entry in mix.items()}
        self.foreign = {name for name, entry in made.items() if entry["type"] != mix[name]["type"]}
        self.data["data"] = fresh | made.get("", {"type": MIX, "mix": made})
        for name in self.foreign:
            self._show(name)

    def _small_source(self, name: str, old: Mapping[str, Any], pixels: int) -> dict[str, Any]:
        try:
            self.registry.get("source", old["type"])
        except PluginError:  # `names` says so, with its place
            return dict(old)
        made = small_entry(self.registry, "source", source_path(name), old, pixels)
        takes = self.registry.get("source", made["type"]).Config.model_fields
        made |= {key: old[key] for key in takes if key in old and self.given(*source_path(name), key)}
        if name:
            kept = old.get("rename", {}) if made["type"] == old["type"] else {}
            weight = old["weight"] if self.given(*source_path(name), "weight") else 1.0  # each has a step
            made |= {"weight": weight, "rename": kept}
        return made

    def _show(self, name: str) -> None:
        """Inputs that read a picture of a source whose place another took read that one's."""
        columns = self._columns(name)
        own = next((column for column, spec in columns.items() if spec.kind == "picture"), None)
        for key, entry in self.direct().items():
            for place, column in enumerate(entry["fields"]):
                if own is None or column in columns:
                    continue
                if name:
                    self.sources[name]["rename"][own] = column
                else:
                    self.data["inputs"][key]["fields"][place] = own

    def direct(self) -> dict[str, dict[str, Any]]:
        """Inputs of columns that no reader reads, as the recipe has them."""
        data = self.before.layered.data
        return {
            name: entry
            for name, entry in data["inputs"].items()
            if not any(field in data.get("fields", {}) for field in entry["fields"])
        }

    def parts(self, named: Mapping[KeyPath, Named]) -> None:
        """Each part's own small form, without weights."""
        for path, one in named.items():
            if one.kind == "part":
                self.data["model"][path[1]] = small_part(one)

    def pictures(self, named: Mapping[KeyPath, Named], processes: int) -> None:
        """Pictures get the smallest size that every encoder of them takes; of a mix the longest clips count."""
        encoders = {}
        for key, entry in self.direct().items():
            one = named.get(("model", entry["part"]))
            if one is not None and issubclass(one.cls, Encoder) and isinstance(one.config, PartConfig):
                encoders[key] = one.cls, one.config.tiny()
        for side in SIDES:
            self.source(processes, side)
            shown = {key: self._shown(self.data["inputs"][key]["fields"]) for key in encoders}
            if all(_takes(*encoders[key], specs) for key, specs in shown.items() if specs):
                break

    def _shown(self, fields: Sequence[str]) -> dict[str, FieldSpec]:
        """The pictures among the columns that an input reads."""
        found: dict[str, FieldSpec] = {}
        for name in self.sources:
            for column, spec in self._columns(name).items():
                if column in fields and spec.kind == "picture" and spec.frames >= found.get(column, spec).frames:
                    found[column] = spec
        return found

    def words(self) -> None:
        """Readers in their small form. What only another source says of its captions is found in the caption."""
        columns, fields = self.columns(), self.data.get("fields", {})
        for name, entry in fields.items():
            column = entry.get("of", name)
            here = column in columns and not columns[column].of_caption
            if self.foreign and not here and entry.get("of") not in fields.keys() - {name}:
                entry["of"] = CAPTION
            if "with" not in entry:
                of = {"of": entry["of"]} if "of" in entry else {}
                self.data["fields"][name] = small_entry(self.registry, "reader", ("fields", name), entry) | of

    def columns(self) -> dict[str, FieldSpec]:
        """The columns of all sources."""
        return {column: spec for name in self.sources for column, spec in self._columns(name).items()}

    def _columns(self, name: str) -> dict[str, FieldSpec]:
        """A source's columns as the recipe calls them; none where it cannot be made, which `check` says."""
        made, renamed = self._made(name), self.sources[name].get("rename", {})
        return {renamed.get(column, column): spec for column, spec in made.columns.items()} if made else {}

    def _made(self, name: str) -> Source | None:
        entry = {key: value for key, value in self.sources[name].items() if key not in SourceConfig.HOST}
        cls = self.registry.get("source", self.sources[name]["type"])
        try:
            more = asked_for(cls.__init__, {"max_pixels": self.before.recipe.data.max_pixels})
            return cls(config_of(cls, entry), **more)
        except Exception:  # a third party's source that needs its files
            return None

    def times(self) -> None:
        """Two steps, or of a mix one for each source, in which everything is live."""
        for name, entry in self.data["objectives"].items():
            if isinstance(entry.get("weight"), list):
                self.put(("objectives", name, "weight"), max(weight for _, weight in entry["weight"]))
            group = entry.get("group", self.registry.get("objective", entry["type"]).group)
            if isinstance(group, int):
                self.put(("objectives", name, "group"), min(group, BATCH // 2))
        for name in self.data.get("pairings", {}):
            self.put(("pairings", name, "group"), None)
        self.put(("optim", "schedule", "warmup"), None)
        self.put(("optim", "groups"), None)  # patterns may name blocks that the small form does not have
        if self.before.recipe.balance and (on := self.before.recipe.balance.on):  # so may these
            self.put(("balance", "on"), list(dict.fromkeys(pattern.split(".")[0] for pattern in on)))
        if self.before.recipe.run.log.conflict:
            self.put(("run", "log", "conflict"), {"steps": 1})
        self.put(("init",), None)
        self.put(("run", "steps"), max(STEPS, len(self.sources)))
        self.put(("run", "device"), None)
        self.put(("run", "compile"), None)
        self.put(("run", "precision"), "fp32")  # kernels of half precision take longer to prepare than these to run
        self.put(("run", "checkpoint"), None)
        self.put(("run", "name"), f"{self.data['run']['name']}-tiny")

    def evaluations(self, named: Mapping[KeyPath, Named]) -> list[str]:
        """Few samples and the end alone; those that ask for what no source can are left out, and named."""
        self.put(("evaluate", "every"), None)
        self.put(("evaluate", "splits"), None)
        made = [self._made(name) for name in self.sources]
        has = frozenset().union(*(one.has for one in made if one is not None))
        gone = []
        for name, missing in _missing(named, has) if None not in made else ():
            self.data["evaluate"].pop(name)
            gone.append(f"evaluate.{name} (needs {', '.join(missing)})")
        for path, one in named.items():
            if path[0] == "evaluate" and path[1] in self.data["evaluate"] and "count" in type(one.config).model_fields:
                self.put((*path, "count"), min(getattr(one.config, "count", None) or COUNT, COUNT))
        return gone


def small_config(one: Named) -> Any:
    """The Config of a part's own small form, without weights."""
    config: Any = one.config
    config = config.tiny()
    if "weights" not in type(config).model_fields:
        return config
    return config.model_copy(update={"weights": False if config.weights in (True, False) else None})


def small_part(one: Named) -> dict[str, Any]:
    """A part's own small form as an entry of a recipe, without weights."""
    config = small_config(one)
    return {"type": one.entry.type} | config.model_dump(mode="json", by_alias=True, include=config.model_fields_set)


def _missing(named: Mapping[KeyPath, Named], has: frozenset[str]) -> Iterator[tuple[str, list[str]]]:
    for path, one in named.items():
        if one.kind == "evaluation" and (missing := sorted(one.cls.needs - has)):
            yield str(path[1]), missing


def small_entry(registry: Registry, kind: str, path: KeyPath, entry: Mapping[str, Any], *pixels: int) -> dict[str, Any]:
    """The small form of a source or reader as an entry of a recipe, without the host's keys."""
    cls = registry.get(kind, entry["type"])
    options = {key: value for key, value in entry.items() if key not in cls.Config.HOST}
    try:
        config: Any = config_of(cls, options)
    except ValidationError:  # of a recipe that leaves its files to whoever runs it; `names` says what else is wrong
        known = {key: value for key, value in options.items() if key in cls.Config.model_fields}
        config = cls.Config.model_construct(**known)
    with work_of(path, "its tiny form", cls):
        small = given(config.tiny(*pixels), Config | Substitute, config.tiny)
    if small is config:
        return {"type": entry["type"]} | options
    if isinstance(small, Substitute):
        return {"type": small.type} | dict(small.options)
    return {"type": entry["type"]} | small.model_dump(mode="json", by_alias=True, include=small.model_fields_set)


def _takes(cls: type[Encoder], config: Any, fields: Mapping[str, FieldSpec]) -> bool:
    """Whether an encoder can be made for these pictures, with enough patches (or none at all)."""
    try:
        with torch.device("meta"):
            made = cls(config, fields)
    except CannotBuild:
        return False
    return made.spec.grid is None or made.spec.grid[0] * made.spec.grid[1] >= PATCHES
