"""`--tiny`: any recipe as a trial of seconds that needs no data, no weights and no network.

What is kept is the system: every part in its own small form, masks, pairings, objectives, inputs, plan. What is
changed: `scenes` in place of the data, readers of token fields without files, every objective live from the first
step at the largest weight that it ever has, two steps. A value given on the command line stays as given.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch

from vlobjectives.contracts.field import FieldSpec
from vlobjectives.contracts.parts import CannotBuild, Encoder
from vlobjectives.recipe import Loaded
from vlobjectives.recipe.layers import COMMAND_LINE
from vlobjectives.recipe.model import DataEntry, source_path
from vlobjectives.recipe.report import Report
from vlobjectives.recipe.schema import MIX, validated
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.registry import Registry
from vlobjectives.resolved.entries import Named, add_files, names

SOURCE, READER, SIZE, LENGTH = "scenes", "byte_pair", 512, 34
SAMPLES = {"samples": 64, "val": 16, "test": 16, "test_new": 0}
BATCH, COUNT = 8, 8
SIDES = (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 336, 384, 448)
"""Pixels a side that are tried until every picture encoder takes them and has PATCHES patches for masks to choose."""
PATCHES = 16
STEPS, FRAMES = 2, 2


def tiny(loaded: Loaded, registry: Registry, processes: int = 1) -> tuple[Loaded, str]:
    """The small form of a recipe, and a line that says so. Raises Refused where its plug-ins cannot be used."""
    small = _Small(loaded, deepcopy(loaded.layered.data), registry)
    small.source(processes)
    report = Report()
    named = names(small.loaded, registry, report) if add_files(loaded, registry, report) else {}
    report.refuse()
    small.parts(named)
    small.pictures(named)
    small.words()
    small.times()
    gone = small.evaluations(named)
    made = small.loaded
    pixels = next(iter(made.recipe.sources.values())).options["image_size"]
    before = ", ".join(dict.fromkeys(source.type for source in loaded.recipe.sources.values()))
    line = (
        f"tiny: every part small, {SOURCE} of {pixels} pixels in place of {before}, no weights, "
        f"{made.recipe.run.steps} steps"
    )
    return made, line + (f"; left out: {', '.join(gone)}" if gone else "")


@dataclass
class _Small:
    """A recipe that becomes small; `data` is what is changed."""

    before: Loaded
    data: dict[str, Any]
    registry: Registry

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
        holder = self.data
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

    def source(self, processes: int) -> None:
        old, sources = self.data["data"], self.sources
        accumulates = old.get("micro_batch") is not None and old["micro_batch"] < old["batch"]
        fresh = {"batch": BATCH * processes} | ({"micro_batch": BATCH // 2} if accumulates else {})
        fresh |= {key: old[key] for key in {*DataEntry.model_fields} - {"type", "mix"} if self.given("data", key)}
        made = {name: self._small_source(name, entry) for name, entry in sources.items()}
        self.data["data"] = fresh | made.get("", {"type": MIX, "mix": made})

    def _small_source(self, name: str, old: Mapping[str, Any]) -> dict[str, Any]:
        """`scenes` in place of a source, moving where that has clips; in a mix clips stand in the column `image`."""
        renamed = {ours: own for own, ours in old.get("rename", {}).items()} if name else {}
        read = [renamed.get(field, field) for entry in self.data["inputs"].values() for field in entry["fields"]]
        moving = "frames" in old or "clip" in read
        found = {"type": SOURCE, "image_size": SIDES[1], **SAMPLES} | ({"frames": FRAMES} if moving else {})
        takes = {*self.registry.get("source", SOURCE).Config.model_fields}
        found |= {key: old[key] for key in takes if key in old and self.given(*source_path(name), key)}
        if name:
            found |= {"weight": old.get("weight", 1.0), "rename": {"clip": "image"} if moving else {}}
        return found

    def parts(self, named: Mapping[KeyPath, Named]) -> None:
        """Each part's own small form, without weights."""
        for path, one in named.items():
            if one.kind == "part":
                self.data["model"][path[1]] = small_part(one)

    def pictures(self, named: Mapping[KeyPath, Named]) -> None:
        """Inputs of pictures read the source's; they get the smallest size that every encoder takes."""
        alone = "frames" in self.sources.get("", {})
        moving = any("frames" in source for source in self.sources.values())
        encoders = []
        for entry in self.data["inputs"].values():
            if any(field in self.data.get("fields", {}) for field in entry["fields"]):
                continue
            entry["fields"] = ["clip" if alone else "image"]
            one = named.get(("model", entry["part"]))
            if one is not None and issubclass(one.cls, Encoder):
                encoders.append((one.cls, one.config.tiny()))
        shape = (FRAMES, 3) if moving else (3,)
        fits = (side for side in SIDES if all(_takes(*encoder, (*shape, side, side)) for encoder in encoders))
        side = next(fits, SIDES[-1])
        for name, source in self.sources.items():
            if not self.given(*source_path(name), "image_size"):
                source["image_size"] = side

    def words(self) -> None:
        """Readers of an input's tokens: one that needs no file, short."""
        fed = {name for entry in self.data["inputs"].values() for name in entry["fields"]}
        columns = {name: spec for made in self._made() for name, spec in made.columns.items()}
        fields = self.data.get("fields", {})
        foreign = any(source.type != SOURCE for source in self.before.recipe.sources.values())
        for name, entry in fields.items():
            column = entry.get("of", name)
            # what another source says of its captions (phrases, found elsewhere) is here to be found in the caption
            here = column in columns and not (foreign and columns[column].of_caption)
            if not here and entry.get("of") not in fields.keys() - {name}:
                entry["of"] = "caption"
            if name in fed and "with" not in entry:
                of = {"of": entry["of"]} if "of" in entry else {}
                length = min(LENGTH, entry.get("length", LENGTH))
                self.data["fields"][name] = {"type": READER, "size": SIZE, "length": length} | of

    def _made(self) -> list[Any]:
        """The sources."""
        cls = self.registry.get("source", SOURCE)
        return [
            cls(cls.Config.model_validate(source.options, strict=False))
            for source in self.loaded.recipe.sources.values()
        ]

    def times(self) -> None:
        """Two steps in which everything is live."""
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
        self.put(("init",), None)
        self.put(("run", "steps"), STEPS)
        self.put(("run", "device"), None)
        self.put(("run", "compile"), None)
        self.put(("run", "precision"), "fp32")  # kernels of half precision take longer to prepare than these to run
        self.put(("run", "checkpoint"), None)
        self.put(("run", "name"), f"{self.data['run']['name']}-tiny")

    def evaluations(self, named: Mapping[KeyPath, Named]) -> list[str]:
        """Few samples and the end alone; those that ask for what `scenes` cannot are left out, and named."""
        self.put(("evaluate", "every"), None)
        self.put(("evaluate", "splits"), None)
        has = frozenset().union(*(made.has for made in self._made()))
        gone = []
        for name, missing in _missing(named, has):
            self.data["evaluate"].pop(name)
            gone.append(f"evaluate.{name} (needs {', '.join(missing)})")
        for path, one in named.items():
            if path[0] == "evaluate" and path[1] in self.data["evaluate"] and "count" in type(one.config).model_fields:
                self.put((*path, "count"), min(one.config.count or COUNT, COUNT))
        return gone


def small_config(one: Named) -> Any:
    """The Config of a part's own small form, without weights."""
    config = one.config.tiny()
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


def _takes(cls: type[Encoder], config: Any, shape: tuple[int, ...]) -> bool:
    """Whether an encoder can be made for pictures of this shape, with enough patches (or none at all)."""
    try:
        with torch.device("meta"):
            made = cls(config, {"image": FieldSpec("picture", shape)})
    except CannotBuild:
        return False
    return made.spec.grid is None or made.spec.grid[0] * made.spec.grid[1] >= PATCHES
