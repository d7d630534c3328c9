"""What `balance` of a recipe says: something to balance, and parts on which gradients can be compared."""

from collections.abc import Iterator
from difflib import get_close_matches

from vlobjectives.checking.data import told
from vlobjectives.checking.meta_build import MetaBuild
from vlobjectives.checking.unpaired import trained
from vlobjectives.errors import Problem
from vlobjectives.plugin_loading.instantiate import BuildError
from vlobjectives.recipe.loading import Loaded
from vlobjectives.resolved.resolved import Resolved
from vlobjectives.system import assemble
from vlobjectives.system.reached_parts import chosen, matched, reached, shared
from vlobjectives.training.schedule import live_sets


def balancer(resolved: Resolved, built: MetaBuild) -> Iterator[Problem]:
    """What is wrong with the balancer; makes it otherwise. What its class raises, beside a refusal, is raised."""
    loaded, one = resolved.loaded, resolved.of("balancer")[""]
    try:
        built.balancer = assemble.build_balancer(resolved)
    except BuildError as error:
        yield told(loaded, error)
        return
    yield from _alone(loaded, built)
    if one.cls.needs_gradients:
        yield from _parts(loaded, built)
    elif loaded.recipe.balance is not None and loaded.recipe.balance.on is not None:
        yield loaded.problem(
            ("balance", "on"), f"{one.entry.type} looks at no gradient, and `on` says of which parts", "leave `on` out"
        )


def _alone(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    recipe = loaded.recipe
    if len(built.objectives) < 2:
        name = next(iter(built.objectives), "none")
        if len(recipe.objectives) < 2:  # else the others are what is wrong
            yield loaded.problem(
                ("balance",),
                f"a balancer weighs objectives against each other, and there is one: {name}",
                "leave `balance` out (balance=null), or add an objective",
                key=True,
            )
        return
    of = trained(loaded, built).values()
    weights = [{name: recipe.objectives[name].weight for name in names} for names in of]
    if not any(len(names) > 1 for own in weights for names in live_sets(own, recipe.run.steps)):
        yield loaded.problem(
            ("balance",),
            "no two objectives have a weight at the same step, so that nothing is weighed against anything",
            "leave `balance` out (balance=null), or let objectives train together",
            note=True,
            key=True,
        )


def _parts(loaded: Loaded, built: MetaBuild) -> Iterator[Problem]:
    """Parts whose gradients are compared."""
    patterns = loaded.recipe.balance.on if loaded.recipe.balance is not None else None
    if patterns is None:
        if len(built.objectives) > 1 and not chosen(built.parts, shared(built)):
            yield loaded.problem(
                ("balance",),
                "no part is trained by two objectives, so that there are no gradients to compare",
                "leave `balance` out (balance=null)",
                key=True,
            )
        return
    names = [(part, name) for part, one in built.parts.items() for name, p in one.named_parameters() if p.requires_grad]
    for number, pattern in enumerate(patterns):
        if not any(matched(part, name, [pattern]) for part, name in names):
            yield loaded.problem(
                ("balance", "on", number),
                f"no part and no trained parameter is called '{pattern}'",
                _near(pattern, names),
            )
    if not (parts := chosen(built.parts, patterns)):
        return
    for name, seen in reached(built).items():
        if not seen & parts.keys():
            yield loaded.problem(
                ("balance", "on"),
                f"objectives.{name} does not train {' or '.join(parts)}: it is not compared with the others",
                "name a part that all objectives train, or nothing, if that is meant",
                note=True,
            )


def _near(pattern: str, names: list[tuple[str, str]]) -> str:
    parts = list(dict.fromkeys(part for part, _ in names))
    near = get_close_matches(pattern, [*parts, *(f"{part}.{name}" for part, name in names)], 1)
    if near:
        return f"did you mean '{near[0]}'?"
    if pattern.startswith("model."):
        return f"without `model.`: '{pattern.removeprefix('model.')}'"
    own = dict.fromkeys(name.split(".")[0] for part, name in names if part == pattern.split(".")[0])
    if own:
        return f"below {pattern.split('.')[0]} there are {', '.join(own)}"
    return f"parts are {', '.join(parts)}"
