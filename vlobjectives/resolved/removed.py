"""What null took out of a recipe, and what else must go with it: everything that still names it, in one message. What
names it in a list of a layer below went by itself (`recipe.lists`)."""

from collections.abc import Iterable, Mapping
from typing import Any

from vlobjectives.errors import Problem
from vlobjectives.recipe import hints
from vlobjectives.recipe.dump import dump_data
from vlobjectives.recipe.layers import COMMAND_LINE
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.yaml import KeyPath, dotted
from vlobjectives.resolved.entries import SECTION, Named

Naming = tuple[KeyPath, str, str, bool]
"""Where something is named, its kind and name, and whether nobody wrote it (a default)."""
KIND = {section: kind for kind, section in SECTION.items()}


def taken_out(
    loaded: Loaded, named: Mapping[KeyPath, Named], namings: Iterable[Naming]
) -> tuple[set[KeyPath], Problem | None]:
    """All that is gone with what null took away, and the problem that says what must go too, if anything must."""
    gone: set[KeyPath] = {path for path in loaded.layered.gone if len(path) == 2 and path[0] in KIND}
    namings = list(namings)
    asked_for = {(SECTION[kind], name) for path, kind, name, _ in namings if path[:2] not in gone}
    roots = sorted(gone & asked_for or gone, key=str)  # a recipe that extends another takes much away that nobody names
    changes = _changes(loaded, named, namings, gone)
    if not changes:
        return gone, None
    root, still = roots[0], list(dict.fromkeys(dotted(path[:2]) for path in changes))
    what = (
        f"{', '.join(map(dotted, roots))} {'is' if len(roots) == 1 else 'are'} taken away, and {', '.join(still)} "
        f"still name{'s' * (len(still) == 1)} what is gone"
    )
    place = loaded.layered.gone[root]
    return gone, Problem(place, dotted(root), what, f"take away too: {_lines(changes, _form(loaded, place.file))}")


def beside_the_system(loaded: Loaded, named: Mapping[KeyPath, Named], namings: Iterable[Naming]) -> list[str]:
    """The overrides that take away what still names what is gone, where none of it is a part of the system itself:
    evaluations. Empty where something is."""
    gone: set[KeyPath] = {path for path in loaded.layered.gone if len(path) == 2 and path[0] in KIND}
    changes = _changes(loaded, named, list(namings), gone)
    system = any(path[0] not in ("evaluate", "plan") for path in changes)
    return [] if system else [f"{dotted(path)}={_value(one)}" for path, one in changes.items()]


def _changes(
    loaded: Loaded, named: Mapping[KeyPath, Named], namings: Iterable[Naming], gone: set[KeyPath]
) -> dict[KeyPath, Any]:
    """Key path -> value of all that must change for nothing to name what is gone; `gone` takes in what goes with it."""
    changes: dict[KeyPath, Any] = {}
    more = True
    while more:
        more = False
        for path, kind, name, _ in namings:
            if (SECTION[kind], name) not in gone or path[:2] in gone or path[:2] == ("plan", "published"):
                continue
            change, value = _change(loaded, named, path, kind, name, gone)
            if change in changes or any(path[: len(other)] == other for other in changes):
                continue
            more = True
            if path[0] != "inputs" or path in loaded.layered.spots or change != path[:2]:
                changes[change] = value
            if change == path[:2]:
                gone.add(change)
    return {
        path: value
        for path, value in changes.items()
        if not any(path[: len(other)] == other != path for other in changes)
    }


def _change(
    loaded: Loaded, named: Mapping[KeyPath, Named], path: KeyPath, kind: str, name: str, gone: set[KeyPath]
) -> tuple[KeyPath, Any]:
    """What to change so that nothing at `path` names it: the entry goes, or only the name where it can do without."""
    if path[:2] == ("plan", "checkpoint"):
        return ("plan", "checkpoint"), [one for one in loaded.recipe.plan.checkpoint if ("model", one) not in gone]
    if path[0] == "inputs" and path[2] == "mask":
        return path, None
    if kind == "objective" and (one := named.get(path[:2])) is not None:
        others = [other for field, other in one.config.named(kind).items() if field != path[2]]
        field = type(one.config).model_fields.get(str(path[2]))
        if field is not None and hints.takes(field, None) and any(("objectives", x) not in gone for x in others):
            return path, None
    return path[:2], None


def _form(loaded: Loaded, file: str | None) -> str:
    if file == COMMAND_LINE:
        return "override"
    return "change" if file in loaded.layered.changing else "recipe"


def _lines(changes: Mapping[KeyPath, Any], form: str) -> str:
    """The lines that make the changes, as they are written on the command line, in a sweep or in a recipe."""
    if form == "override":
        return " ".join(
            f"{dotted(path)}={_value(one)}" if one is None else f"'{dotted(path)}={_value(one)}'"
            for path, one in changes.items()
        )
    if form == "change":
        return ", ".join(f"{dotted(path)}: {_value(one)}" for path, one in changes.items())
    nested: dict[str, Any] = {}
    for path, one in changes.items():
        holder = nested
        for part in path[:-1]:
            holder = holder.setdefault(str(part), {})
        holder[str(path[-1])] = one
    return "; ".join(f"{section}: {_value(one)}" for section, one in nested.items())


def _value(one: Any) -> str:
    return dump_data({"x": one}, flow=True).strip()[1:-1].removeprefix("x: ").replace("\n", " ")
