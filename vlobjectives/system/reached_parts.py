"""Which parts the objectives of a system train, and the parameters of those that are named or shared."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from vlobjectives.contracts.views import View

Chosen = Mapping[str, Sequence[nn.Parameter]]
"""Part -> parameters of it."""


def reached(whole: Any, names: Iterable[str] | None = None) -> dict[str, set[str]]:
    """Objective -> the parts that its gradient may reach: those of its views, and heads that it names itself.

    whole  a system, or a recipe that is checked: `objectives` and `inputs`
    names  of these objectives; by default of all
    """
    found = {}
    for name in whole.objectives if names is None else names:
        one = whole.objectives[name]
        seen = (_trained(view) for view in one.views(whole.inputs).values())
        found[name] = set(one.config.named("part").values()).union(*seen)
    return found


def reached_of(system: Any, names: Iterable[str], parameters: Chosen) -> dict[str, set[str]]:
    """The same of a system that is built: the parts of which an objective may reach one of these parameters, be it by
    another part that shares it."""
    held = {part: {id(p) for p in module.parameters()} for part, module in system.model.items()}
    found = {name: set().union(*(held[part] for part in parts)) for name, parts in reached(system, names).items()}
    return {
        name: {part for part, own in parameters.items() if any(id(p) in there for p in own)}
        for name, there in found.items()
    }


def _trained(view: View) -> set[str]:
    return set() if view.averaged else {view.part}.union(*(_trained(fed) for fed in view.fed))


def shared(whole: Any) -> list[str]:
    """The parts that two objectives or more train."""
    count = Counter(part for parts in reached(whole).values() for part in parts)
    return sorted(part for part, objectives in count.items() if objectives > 1)


def chosen(parts: Mapping[str, nn.Module], patterns: Sequence[str]) -> dict[str, list[nn.Parameter]]:
    """The trained parameters that a pattern matches, by part: `vision` is all of it, `vision.blocks.11.*` some.

    One that parts share stands with the first. A part without any is left out.
    """
    seen: set[int] = set()
    found: dict[str, list[nn.Parameter]] = {}
    for part, module in parts.items():
        for name, parameter in module.named_parameters():
            if parameter.requires_grad and id(parameter) not in seen and matched(part, name, patterns):
                found.setdefault(part, []).append(parameter)
                seen.add(id(parameter))
    return found


def matched(part: str, name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches a part, or a parameter of it by its dotted name."""
    return any(fnmatchcase(part, pattern) or fnmatchcase(f"{part}.{name}", pattern) for pattern in patterns)
