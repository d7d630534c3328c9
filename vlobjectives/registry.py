"""Finds plug-ins, keeps their faults in, gives a class for a kind and a name.

Entry points of the group `vlobjectives` are loaded one by one: one that is broken becomes a `ComponentFault` and stops
neither the host nor its neighbours. What they name is imported when it is asked for. A short name belongs to the
built-in; a third party's component is `package/name` (package: its distribution, or a local file's stem), and short
as well as long as nobody else has that name.
"""

import warnings
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from vlobjectives.components import (
    _KEY,
    _TARGET,
    API,
    API_FLOOR,
    KINDS,
    Component,
    ComponentFault,
    ComponentRow,
    _class_of,
    _space,
)
from vlobjectives.contracts.hooks import PROJECT, Hooks
from vlobjectives.errors import Place, PluginError, PluginWarning
from vlobjectives.plugin_loading import trust
from vlobjectives.plugin_loading.helper_files import Files
from vlobjectives.plugin_loading.load import HOOKS, found_file, load_file, reason_of, where_raised
from vlobjectives.plugin_loading.side_effects import contained

GROUP = PROJECT
RUN_HOOKS = frozenset(HOOKS) - {"vlobj_components"}


class Registry:
    """All plug-ins that can be seen from here.

    blocked       names of entry points or stems of local files, or `kind:name` of components (`-p no:NAME`)
    builtin_only  leaves out what other distributions brought (`--no-plugins`); a recipe's local files stay
    trust         runs files that a run folder names, whoever made it (`--trust`), and records that they are trusted
    strict        raises PluginError where a plug-in would be left out, or what it did put back (`--strict-plugins`)
    """

    def __init__(
        self, blocked: Iterable[str] = (), builtin_only: bool = False, trust: bool = False, strict: bool = False
    ):
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(Hooks)
        self._blocked = dict.fromkeys(blocked, False)  # -> whether it has blocked anything
        self._components: dict[tuple[str, str], Component] = {}  # (space of names, package/name) ->
        self._faults: list[ComponentFault] = []
        self._trust, self._strict = trust, strict
        self._files: dict[Path, Files] = {}
        self.effects: dict[Path, list[str]] = {}  # local file -> what it did to the process, which was put back
        self._classes: dict[Component, type] = {}
        # metadata is read from its file at every look
        found = [(one.dist.metadata, one) for one in entry_points(group=GROUP) if one.dist]
        for package, entry in sorted(found, key=lambda one: (one[0]["Name"] != PROJECT, one[1].name)):
            if (package["Name"] == PROJECT or not builtin_only) and not self._blocks(entry.name):
                self._add_entry(entry, package["Name"], package["Version"])
        if strict and self._faults:
            reasons = "; ".join(f"{fault.name} of {fault.distribution}: {fault.reason}" for fault in self._faults)
            raise PluginError(f"plug-ins that cannot be used: {reasons}", "correct, upgrade or uninstall them")

    # -- finding ----------------------------------------------------------------------------------------------

    def _blocks(self, name: str) -> bool:
        if name in self._blocked:
            self._blocked[name] = True
        return name in self._blocked

    def _add_entry(self, entry: EntryPoint, package: str, version: str) -> None:
        try:
            with contained(f"plug-in {package}:{entry.name}"):
                plugin = entry.load()
        except Exception as error:  # anything may happen in a third party's module
            reasons = [reason_of(error)]
        else:
            reasons = self._register(plugin, f"{package}:{entry.name}", package, version, package == PROJECT)
        self._faults += [ComponentFault(entry.name, package, reason) for reason in reasons]

    def add_file(self, path: str | Path, own: bool = True) -> None:
        """Loads a Python file that a recipe names under `plugins`; once, however often it is named.

        own  False: it is a run folder that names it, not the user: it is run if he trusts it
        Raises PluginError with file and line: no such file, it is not trusted, it does not import, it brings nothing.
        """
        path = Path(path).resolve()
        if path in self._files or self._blocks(path.stem):
            return
        files = found_file(path)
        if not own:
            trust.see(files.path, files.sources, self._trust)
        module = load_file(files, (effects := self.effects.setdefault(path, [])).append)
        if effects and self._strict:
            raise PluginError("; ".join(effects), "take it out of the file", Place(str(path)))
        reasons = self._register(module, str(path), path.stem, "", False)
        if reasons:
            code = getattr(getattr(module, "vlobj_components", None), "__code__", None)
            raise PluginError(
                f"the plug-in file cannot be used: {'; '.join(reasons)}",
                "correct the file",
                Place(str(path), code.co_firstlineno if code else 1),
            )
        self._files[path] = files

    def sources(self, path: str | Path) -> Mapping[str, bytes]:
        """A local plug-in file and its helpers: path below its folder -> content as it was run."""
        path = Path(path).resolve()
        return (self._files.get(path) or found_file(path)).sources

    def _register(self, plugin: Any, name: str, package: str, version: str, builtin: bool) -> list[str]:
        """Takes a plug-in in; the reasons why it, or some component of it, cannot be used."""
        wanted = getattr(plugin, "VLOBJ_API", API)
        if not isinstance(wanted, int) or wanted > API:
            return [f"it asks for plug-in API {wanted}, this vlobjectives has {API}: upgrade vlobjectives"]
        if wanted < API_FLOOR:
            return [
                f"it was written for plug-in API {wanted}, this vlobjectives takes {API_FLOOR} to {API}: upgrade it"
            ]
        for hook in HOOKS:
            if hasattr(plugin, hook) and self._manager.parse_hookimpl_opts(plugin, hook) is None:
                return [f"its {hook} is not marked with vlobjectives.hookimpl"]
        try:
            self._manager.register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            return [reason_of(error)]
        try:
            self._manager.check_pending()  # register itself lets a misspelt hook pass
            given = [_mapping(answer) for answer in self._call(plugin, "vlobj_components")]
        except Exception as error:
            self._manager.unregister(plugin)
            return [reason_of(error)]
        if not self._manager.get_hookcallers(plugin):
            return [
                "it brings nothing: give it a function vlobj_components, marked with vlobjectives.hookimpl, "
                'that returns {"objective:NAME": "module:Class"}'
            ]
        pairs = [pair for answer in given for pair in answer.items() if not self._blocks(pair[0])]
        reasons = [self._add_component(key, target, package, version, builtin) for key, target in pairs]
        return [reason for reason in reasons if reason]

    def _add_component(self, key: Any, target: Any, package: str, version: str, builtin: bool) -> str | None:
        match = _KEY.fullmatch(key) if isinstance(key, str) else None
        if match is None or match[1] not in KINDS:
            return f"{key!r} is not kind:name with a kind of {', '.join(KINDS)}"
        if not isinstance(target, type) and not (isinstance(target, str) and _TARGET.fullmatch(target)):
            return f"{key}: {target!r} is neither module:Class nor a class"
        found = Component(match[1], match[2], package, version, target, builtin)
        if self._components.setdefault((_space(found.kind), found.full), found) is not found:
            return f"{key}: there is a {found.full} already"
        return None

    # -- asking -----------------------------------------------------------------------------------------------

    def component(self, kind: str, name: str) -> Component:
        """What `name` stands for. `kind` is one of KINDS, or `part` for any part of the model.

        Raises PluginError with the nearest names and where was looked.
        """
        here = self._named(kind)
        if name in here and kind in ("part", here[name].kind):
            return here[name]
        known = ", ".join(self.names(kind)) or "none"
        if name in here:
            raise PluginError(f"'{name}' is a plug-in of kind {here[name].kind}, not {kind}", f"known: {known}")
        if twins := sorted(one.full for one in set(here.values()) if one.short == name):
            raise PluginError(f"the {kind} '{name}' is brought by several plug-ins", f"write {' or '.join(twins)}")
        near = get_close_matches(name, self.names(kind), 1, 0.5)
        raise PluginError(
            f"there is no {kind} '{name}'" + (f", did you mean '{near[0]}'?" if near else ""),
            f"known: {known} ({self._looked()})",
        )

    def get(self, kind: str, name: str) -> type[Any]:
        """The class of a component, imported now. Raises PluginError if it is unknown or does not load."""
        found = self.component(kind, name)
        if found not in self._classes:
            self._classes[found] = _class_of(found)
        return self._classes[found]

    def names(self, kind: str) -> list[str]:
        """The shortest name of each component of a kind."""
        here = self._named(kind)
        return sorted({_shortest(one, here) for one in here.values() if kind in ("part", one.kind)})

    def all(self, load: bool = False) -> list[ComponentRow]:
        """A row for each component; with `load` each is imported, to see whether it can be used."""
        rows = []
        for found in self._components.values():
            fault = None
            if load:
                try:
                    self.get(found.kind, found.full)
                except PluginError as error:
                    fault = error.what
            target = found.target if isinstance(found.target, str) else found.target.__qualname__
            name = _shortest(found, self._named(found.kind))
            rows.append(ComponentRow(found.kind, name, found.package, found.version, target, fault))
        return sorted(rows, key=lambda row: (KINDS.index(row.kind), row.name))

    @property
    def faults(self) -> tuple[ComponentFault, ...]:
        """What could not be taken in, and blocks that blocked nothing."""
        idle = [
            ComponentFault(f"no:{name}", "command line", "there is no such plug-in or component to leave out")
            for name, used in self._blocked.items()
            if not used
        ]
        return (*self._faults, *idle)

    def _named(self, kind: str) -> dict[str, Component]:
        """Every name, full or short, that means one thing among the kinds that share their names with this one."""
        full = {name: one for (space, name), one in self._components.items() if space == _space(kind)}
        short: dict[str, list[Component]] = {}
        for one in full.values():
            short.setdefault(one.short, []).append(one)
        owners = {name: [one for one in those if one.builtin] or those for name, those in short.items()}
        return full | {name: those[0] for name, those in owners.items() if len(those) == 1}

    def _looked(self) -> str:
        packages = sorted({one.package for one in self._components.values()})
        broken = [f"{fault.name} of {fault.distribution} is left out: {fault.reason}" for fault in self.faults]
        return "; ".join([f"looked in {', '.join(packages) or 'no plug-in at all'}", *broken])

    # -- watching runs ----------------------------------------------------------------------------------------

    def watch(self, watcher: Any, name: str) -> None:
        """Registers an object whose marked methods watch runs, such as a Tracker made for this run."""
        reasons = self._register(watcher, f"watch:{name}", name, "", False)
        if reasons:
            raise PluginError(f"'{name}' cannot watch runs: {'; '.join(reasons)}", "correct or leave out the plug-in")

    def call_safely(self, hook_name: str, **arguments: Any) -> None:
        """Calls a run-time hook of every plug-in; one that raises is switched off, all its hooks, with a warning."""
        for implementation in reversed(getattr(self._manager.hook, hook_name).get_hookimpls()):
            try:
                self._call(implementation.plugin, hook_name, **arguments)
            except Exception as error:
                self._manager.unregister(implementation.plugin)
                place = where_raised(error)
                what = f"plug-in '{implementation.plugin_name}' is switched off for this run: {hook_name} raised "
                warnings.warn(PluginWarning(what + reason_of(error), "correct its hook", place), stacklevel=2)

    def _call(self, plugin: Any, hook_name: str, **arguments: Any) -> list:
        """The answers of this plug-in alone; pluggy hands it only the arguments that it asks for."""
        others = [other for other in self._manager.get_plugins() if other is not plugin]
        with contained(f"{hook_name} of {self._manager.get_name(plugin)}", watches=hook_name in RUN_HOOKS):
            return self._manager.subset_hook_caller(hook_name, others)(**arguments)


def _shortest(one: Component, here: Mapping[str, Component]) -> str:
    return one.short if here.get(one.short) == one else one.full


def _mapping(answer: Any) -> Mapping:
    if not isinstance(answer, Mapping):
        raise TypeError(f"vlobj_components returned {answer!r}, not a mapping of kind:name to module:Class")
    return answer
