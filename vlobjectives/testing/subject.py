"""What is checked: a component by class or by name, in the toy system that it is checked in."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from vlobjectives.components import _MODULE, KINDS, PART_KINDS
from vlobjectives.contracts.config import Config
from vlobjectives.contracts.naming import kinds
from vlobjectives.errors import PluginError, Problem, RecipeError
from vlobjectives.recipe.report import Refused
from vlobjectives.recipe.yaml import dotted
from vlobjectives.testing.check import CheckFailed
from vlobjectives.testing.toys import MASKS, MODEL, PAIRINGS, Toy

SECTION = {
    "objective": "objectives",
    "mask": "masks",
    "pairing": "pairings",
    **dict.fromkeys(PART_KINDS, "model"),
    "reader": "fields",
    "evaluation": "evaluate",
    "source": "data",
    "balancer": "balance",
    "tracker": "trackers",
}
"""Where a kind stands in a recipe, or what of a recipe it is part of."""
STANDS_IN = {"encoder": ("vision", "text"), "fusion": ("fusion",), "decoder": ("decoder",), "projection": ("joint",)}
"""The toys that a part may take the place of; a head stands for `words`."""
BROUGHT = "toy"
"""The package of classes that are handed over directly."""


@dataclass(frozen=True)
class Subject:
    """A component that is checked.

    kind       objective, mask, ...
    component  how a recipe names it as a `type`
    name       its short name
    given      its options as in a recipe, or a Toy in which it has an entry
    plugins    local plug-in files
    classes    itself, where no plug-in names it
    around     the Toy that options stand in
    """

    kind: str
    component: str
    name: str
    given: Toy | Mapping[str, Any]
    plugins: Sequence[str | Path] = ()
    classes: Mapping[str, type] = field(default_factory=dict)
    around: Toy = field(default_factory=Toy)

    @cached_property
    def placed(self) -> tuple[Toy, str]:
        """The toy system, and the name of the entry in it. Raises RecipeError for options that it does not take."""
        base = self.given if isinstance(self.given, Toy) else self.around
        if self.plugins or self.classes:
            base = base.changed(plugins=[*base.plugins, *self.plugins], components={**base.components, **self.classes})
        if self.kind == "source":
            options = {} if isinstance(self.given, Toy) else self.given
            return base.changed(data={**base.data, **options, "type": self.component}), self.name
        entries = getattr(base, SECTION[self.kind])
        if isinstance(self.given, Toy):
            name = self._entry(entries, base.registry.names(self.kind))
            options = entries.get(name) or {}
            return base.changed(**{SECTION[self.kind]: {**entries, name: {**options, "type": self.component}}}), name
        for place in self.places:
            entry = {**(entries.get(place) or {}), **self.given, "type": self.component}
            toy = base.changed(**{SECTION[self.kind]: {**entries, place: entry}})
            if self.kind == "evaluation":
                toy = _with_objectives(toy, place)
            if place == self.places[-1] or _stands(toy, place):
                return toy, place
        raise AssertionError("there is no place")

    @property
    def places(self) -> tuple[str, ...]:
        """The names that its entry may have: a part stands in for a toy, a reader for that of the column `caption`."""
        if self.kind == "head":
            return ("words",)
        if self.kind == "reader" and not (isinstance(self.given, Mapping) and "of" in self.given):
            return ("caption",)
        return STANDS_IN.get(self.kind, (self.name,))

    def _entry(self, entries: Mapping[str, Any], known: Sequence[str]) -> str:
        """The entry of a Toy that is this component: that of its name, the only one, or the only one of no other."""
        types = {str(name): (options or {}).get("type", name) for name, options in entries.items()}
        own = [name for name, type_ in types.items() if type_ in (self.component, self.name)]
        free = own or [name for name, type_ in types.items() if len(types) == 1 or type_ not in known]
        return free[0] if free else self.places[0]

    @property
    def toy(self) -> Toy:
        return self.placed[0]

    def __str__(self) -> str:
        return f"{self.kind} '{self.component}'"


def _with_objectives(toy: Toy, name: str) -> Toy:
    """The toy with the objectives that an evaluation names, which read the toys' masks and pairings."""
    config = toy.resolved.of("evaluation")[name].config
    known = toy.registry.names("objective")
    lacking = [one for one in config.named("objective").values() if one in known and one not in toy.recipe.objectives]
    if not lacking:
        return toy
    own = {one: _on_toys(toy.registry.get("objective", one).Config) for one in lacking}
    return toy.changed(objectives={**toy.objectives, **own})


def _on_toys(config: type[Config]) -> dict[str, str]:
    """Options that a Config must be given, where a toy will do."""
    required = {key: kinds(info) for key, info in config.model_fields.items() if info.is_required()}
    masks = {key: "dropped" if "image" in key else "hidden_words" for key, of in required.items() if "mask" in of}
    return masks | {key: next(iter(PAIRINGS)) for key, of in required.items() if "pairing" in of}


def _stands(toy: Toy, place: str) -> bool:
    """Whether a part can be built, and run, in the place of a toy."""
    from vlobjectives.testing.part_calls import calls

    try:
        return [call() for call in calls(toy, place)] != []
    except Exception:  # an encoder of texts that is given pictures fails anyhow
        return False


def subject(
    component: str | type,
    given: Toy | Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
) -> Subject:
    """What a name (NAME, KIND:NAME, PACKAGE/NAME) or a class stands for. Imports no component.

    Args:
        component: a class of a plug-in, or the name of one that is installed or that `plugins` bring
        given: its options as in a recipe, or a Toy in which it has an entry
        plugins: local plug-in files

    Raises:
        PluginError: a class that is no plug-in, a name that nothing has, or one that several kinds have.
    """
    given = {} if given is None else given
    if isinstance(component, type):
        kind, short = kind_of(component), _snake(component.__name__)
        return Subject(kind, f"{BROUGHT}/{short}", short, given, plugins, {f"{kind}:{short}": component})
    if not isinstance(component, str):
        raise PluginError(
            f"{component!r} is no plug-in: it is neither a class nor a name", "give MyLoss or 'my_loss', no instance"
        )
    toy = given if isinstance(given, Toy) else Toy()
    registry = (toy.changed(plugins=[*toy.plugins, *plugins]) if plugins else toy).registry
    wanted, _, name = component.rpartition(":")
    rows = [row for row in registry.all() if row.package != "toy_plugin"]
    found = [row for row in rows if name in (row.name, f"{row.package}/{row.name}") and wanted in ("", row.kind)]
    if len(found) > 1:
        raise PluginError(
            f"'{component}' is a plug-in of several kinds: {', '.join(row.kind for row in found)}",
            f"write {' or '.join(f'{row.kind}:{name}' for row in found)}",
        )
    if not found:
        near = get_close_matches(name, sorted({row.name for row in rows}), 3)
        raise PluginError(
            f"there is no plug-in '{component}'" + (f": did you mean {' or '.join(near)}?" if near else ""),
            "`vlobj plugins` lists them; a class that no plug-in names yet is given itself",
        )
    return Subject(found[0].kind, found[0].name, found[0].name.rpartition("/")[2], given, plugins)


NAMED = {"mask": "masks", "pairing": "pairings", "part": "model", "input": "inputs", "field": "fields"}
"""What of the toys an option may name, and where it stands."""


def _there(toy: Toy, section: str) -> list[str]:
    """The names that an option may have: entries of the toy's recipe, and columns of its source that are fields."""
    names = list(getattr(toy.resolved.recipe, section))
    if section == "fields":
        columns = toy.data_module.fields.columns
        names += [name for name, spec in columns.items() if spec.kind != "raw" and name not in names]
    return names


def sound(of: Subject) -> None:
    """Raises RecipeError where a component does not take its options, or they name what the toys do not have."""
    try:
        toy, name = of.placed
        resolved = toy.resolved
    except Refused as error:
        toys = f"toys: masks {', '.join(MASKS)}; pairing {', '.join(PAIRINGS)}; parts {', '.join(MODEL)}"
        raise RecipeError(
            replace(one, hint=f"{one.hint} ({toys})") if "is missing" in one.what else one for one in error.problems
        ) from None
    if of.kind != "source":
        place = "" if of.kind == "balancer" else name
        config = resolved.of("part" if of.kind in PART_KINDS else of.kind)[place].config
        problems = []
        for kind, section in NAMED.items():
            there = _there(toy, section)
            for path, named in config.places(kind).items():
                if named not in there:
                    near = get_close_matches(named, there, 1)
                    what = f"there is no {kind} '{named}' among the toys" + (
                        f": did you mean {near[0]}?" if near else ""
                    )
                    hint = f"there are {', '.join(there)}; for another give a Toy that has it"
                    problems.append(Problem(None, dotted((SECTION[of.kind], name, *path)), what, hint))
        if problems:
            raise RecipeError(problems)
    if of.kind == "evaluation":
        _has_what_it_needs(toy, name)


def _has_what_it_needs(toy: Toy, name: str) -> None:
    from vlobjectives.testing.evaluation_calls import Stage

    try:
        Stage.of(toy, name)
    except CheckFailed as error:
        hint = "vlobj conform ... toy.data.type=SOURCE toy.fields.caption.type=READER; in a test a Toy of these"
        raise RecipeError([Problem(None, dotted(("evaluate", name)), str(error), hint)]) from None


def kind_of(cls: type) -> str:
    """The kind of a class. Raises PluginError for one that derives no kind of plug-in, or more than one."""
    bases = {kind: _base(kind) for kind in KINDS}
    found = [kind for kind, base in bases.items() if issubclass(cls, base)]
    if len(found) == 1 and cls is not bases[found[0]]:
        return found[0]
    names = ", ".join(base.__name__ for base in bases.values())
    if len(found) > 1:
        raise PluginError(f"{cls.__qualname__} is of several kinds: {', '.join(found)}", "derive it of one")
    raise PluginError(
        f"{cls.__qualname__} is no plug-in, there is nothing to check", f"derive it of one of {names}, or give a name"
    )


def _base(kind: str) -> type:
    contract = import_module(f"vlobjectives.contracts.{_MODULE.get(kind, kind)}")
    base: type = getattr(contract, kind.capitalize())
    return base


def _snake(name: str) -> str:
    """MyLoss -> my_loss, MGSC -> mgsc."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
