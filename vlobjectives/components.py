"""A component that a plug-in brings, and a fault of one."""

import re
from dataclasses import dataclass
from importlib import import_module

from vlobjectives.errors import PluginError
from vlobjectives.plugin_loading.load import load_target

API = 2
"""The version of hooks and contracts, and the newest that a plug-in may ask for: 1 with 0.1, 2 with 0.2."""
API_FLOOR = 1
"""The oldest version whose plug-ins are still taken: a minor release's own and the one before."""


PART_KINDS = ("encoder", "fusion", "decoder", "projection", "head")
KINDS = ("objective", "mask", "pairing", *PART_KINDS, "reader", "source", "balancer", "evaluation", "tracker")
_MODULE = dict.fromkeys(PART_KINDS, "parts")  # of contracts; else the kind's own name
_KEY = re.compile(r"([a-z]+):([A-Za-z_][A-Za-z0-9_.-]*)")
_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class ComponentFault:
    """A plug-in, or one component of it, that cannot be used, and why."""

    name: str
    distribution: str
    reason: str


@dataclass(frozen=True)
class Component:
    """What a plug-in says it brings. `target` is `module:Class`, or the class itself from a local file."""

    kind: str
    short: str
    package: str
    version: str
    target: str | type
    builtin: bool

    @property
    def full(self) -> str:
        return f"{self.package}/{self.short}"


@dataclass(frozen=True)
class ComponentRow:
    """A line of `vlobj plugins`: `name` is the shortest that finds it."""

    kind: str
    name: str
    package: str
    version: str
    target: str
    fault: str | None


def _space(kind: str) -> str:
    """Kinds that share their names: all parts stand under `model`, told apart by their type alone."""
    if kind != "part" and kind not in KINDS:
        raise ValueError(f"no such kind of plug-in: {kind!r}; there are {', '.join(KINDS)}")
    return "part" if kind in PART_KINDS else kind


def _class_of(found: Component) -> type:
    """Imports a component and sees that it is what its kind promises."""
    label = f"the {found.kind} '{found.full}'"
    target = found.target if isinstance(found.target, type) else load_target(found.target, label, found.package)
    contract = import_module(f"vlobjectives.contracts.{_MODULE.get(found.kind, found.kind)}")
    base = getattr(contract, found.kind.capitalize())
    if not (isinstance(target, type) and issubclass(target, base)):
        raise PluginError(
            f"{label} is no class derived of vlobjectives' {base.__name__}: {target!r}",
            f"derive it of {base.__name__}, or name the right class in vlobj_components",
        )
    return target
