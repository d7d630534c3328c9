"""A recipe with its plug-ins and its processes: what every command derives once, and hands down."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from vlobjectives.contracts.config import Config
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.report import Report
from vlobjectives.recipe.yaml import KeyPath
from vlobjectives.registry import Registry
from vlobjectives.resolved.absolute_paths import taken_in
from vlobjectives.resolved.entries import Named, names
from vlobjectives.runtime.distributed import SINGLE, World
from vlobjectives.runtime.resources import autocast_of, device_of, precision_of


@dataclass(frozen=True)
class Resolved:
    """A recipe, the class and the typed Config of each of its entries, and the processes that it runs on.

    Attributes:
        loaded: the recipe, its paths absolute, and where each value was written
        registry: the plug-ins
        entries: key path -> kind, class and Config, each validated once; while a check goes on, of what is sound alone
        world: which of how many processes this is
    """

    loaded: Loaded
    registry: Registry
    entries: Mapping[KeyPath, Named]
    world: World = SINGLE

    @property
    def recipe(self) -> Recipe:
        return self.loaded.recipe

    def of(self, kind: str) -> Mapping[str, Named]:
        """The entries of a kind by name (`part`: all of the model); a source that stands alone has none ('')."""
        return self._by_kind.get(kind, {})

    @cached_property
    def _by_kind(self) -> Mapping[str, Mapping[str, Named]]:
        found: dict[str, dict[str, Named]] = {}
        for path, one in self.entries.items():
            found.setdefault(one.kind, {})[str(path[-1]) if len(path) > 1 else ""] = one
        return found

    # -- rows and sources -------------------------------------------------------------------------------------

    @property
    def processes(self) -> int:
        return self.world.size

    @property
    def rows(self) -> int:
        """Rows that a process passes at once: a micro-batch."""
        return self.recipe.data.rows(self.processes)

    @property
    def together(self) -> int:
        """Rows that a loss which gathers sees."""
        return self.rows * self.processes

    @property
    def weights(self) -> Mapping[str, float]:
        """Source -> its share of the steps, beside the other sources' weights."""
        return {name: entry.weight for name, entry in (self.recipe.data.mix or {}).items()} or {"": 1.0}

    # -- device and precision ---------------------------------------------------------------------------------

    @cached_property
    def device(self) -> torch.device:
        """This process's device. Raises ResourceError where it is not here."""
        return device_of(self.recipe.run.device, self.world.local_rank)

    @property
    def precision(self) -> str:
        """The precision of the passes on this process's device."""
        return self._precision[0]

    @property
    def precision_reason(self) -> str:
        """Why it is this one, in words."""
        return self._precision[1]

    @cached_property
    def _precision(self) -> tuple[str, str]:
        return precision_of(self.recipe.run.precision, self.device)

    @property
    def autocast(self) -> tuple[str, torch.dtype] | None:
        """Kind of device and type of the passes; None where they run in float32."""
        return autocast_of(self.device.type, self.precision)

    @property
    def planned(self) -> tuple[str, str]:
        """The kind of device and the precision that a run would have; a GPU that is not here is taken to know bf16."""
        asked, here = self.recipe.run.device.split(":")[0], "cuda" if torch.cuda.is_available() else "cpu"
        device = here if asked == "auto" else asked
        if self.recipe.run.precision != "auto" or device == here:
            return device, precision_of(self.recipe.run.precision, torch.device(device))[0]
        return device, "bf16" if device == "cuda" else "fp32"

    # -- other forms ------------------------------------------------------------------------------------------

    def on(self, device: str) -> "Resolved":
        """The same on another device than `run.device` says."""
        recipe = self.recipe.model_copy(update={"run": self.recipe.run.model_copy(update={"device": device})})
        return replace(self, loaded=replace(self.loaded, recipe=recipe))

    def changed(self, loaded: Loaded) -> "Resolved":
        """The same of a recipe that was changed since; Configs of options that are what they were are kept."""
        return typed(loaded, self.registry, self.world, known=self.entries)

    def of_configs(self, kind: str, configs: Mapping[str, Config]) -> "Resolved":
        """The same with other Configs of entries of a kind, such as the small forms of parts."""
        entries = {
            path: replace(one, config=configs[str(path[-1])]) if one.kind == kind and path[-1] in configs else one
            for path, one in self.entries.items()
        }
        return replace(self, entries=entries)


def resolve(loaded: Loaded, registry: Registry, world: World = SINGLE, evaluations: bool = True) -> Resolved:
    """A recipe resolved, its plug-in files taken in, its paths absolute.

    Args:
        loaded: the recipe as it was loaded
        registry: takes in the plug-in files that the recipe names
        world: which of how many processes this is
        evaluations: False: without the evaluations, which a system can do without

    Raises:
        Refused: a plug-in does not load, or a Config does not take its options; with every such problem.
    """
    return typed(taken_in(loaded, registry), registry, world, evaluations=evaluations)


def typed(
    loaded: Loaded,
    registry: Registry,
    world: World = SINGLE,
    known: Mapping[KeyPath, Named] | None = None,
    evaluations: bool = True,
) -> Resolved:
    """The same where paths are absolute and plug-in files are taken in. Configs that are `known` are not validated
    again."""
    report = Report()
    found = names(loaded, registry, report, known=known or {}, evaluations=evaluations)
    report.refuse()
    return Resolved(loaded, registry, found, world)
