"""The checks of evaluations, on a system that knows nothing: what scores must be then, and what is left as it was."""

import copy
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from vlobjectives.contracts.evaluation import Score
from vlobjectives.data.differences import difference
from vlobjectives.runtime import distributed
from vlobjectives.system.assemble import view_parts
from vlobjectives.testing.check import Check, CheckFailed, demand, listed
from vlobjectives.testing.evaluation_calls import (
    Declared,
    Shuffled,
    Stage,
    Window,
    of_first_input,
    run,
    two_processes_announced,
    with_roles_alone,
)
from vlobjectives.testing.sameness import random_state, states_kept
from vlobjectives.testing.toys import Toy

SYSTEMS = 4
"""Untrained systems, over which chance is averaged."""
ERRORS = 4.0
"""Standard errors that a mean may lie from where it should."""
WINDOWS, SIZE = 12, 16
"""Parts of the data on which intervals are tried, and the samples of each."""
COVERED = 7
"""So many of them must hold what all parts together give; of 95 % intervals 8 or more do, but for one time in 4000."""


def evaluation_checks(expected: Mapping[str, str] | None = None) -> list[Check]:
    """The checks of evaluations; `expected` maps a check's name to the reason why it cannot hold."""
    return listed(_CHECKS, expected)


# ---- checks


def scores_are_sound(toy: Toy, name: str) -> None:
    stage = Stage.of(toy, name)
    scores = run(stage.evaluation, stage.context())
    demand(len(scores) > 0, "it gives no score on this data")
    for key, score in scores.items():
        numbers = [score.value, score.low, score.high, *([] if score.chance is None else [score.chance])]
        demand(all(math.isfinite(float(x)) for x in numbers), f"'{key}' holds a number that is not finite: {score}")
        value, low, high = (float(x) for x in (score.value, score.low, score.high))
        slack = 1e-6 * max(1.0, abs(value))
        inside = low - slack <= value <= high + slack
        demand(inside, f"'{key}' is {value:.4g}, and lies outside of its interval, {low:.4g} to {high:.4g}")
        demand(int(score.n) > 0, f"'{key}' counts {score.n} cases")
        if score.per_cent and not -1 - slack <= value <= 1 + slack:
            raise CheckFailed(
                f"'{key}' is {value:.4g}, and a share is at most 1",
                "give the share, or per_cent=False for a plain number",
            )


def two_calls_equal(toy: Toy, name: str) -> None:
    stage = Stage.of(toy, name)
    evaluation, held = stage.evaluation, stage.context()
    with random_state(1):
        first = run(evaluation, held)
    with random_state(2):
        again = run(evaluation, held)
    if where := difference(first, again):
        raise CheckFailed(f"called a second time it gives something else: {where}")
    with random_state(3):
        anew = run(stage.evaluation, stage.context())
    if where := difference(first, anew):
        raise CheckFailed(f"another instance of it gives something else: {where}")
    with states_kept("`run`", "take random numbers from vlobjectives.functional.noise, or a generator of your own"):
        run(evaluation, held)


def leaves_the_system(toy: Toy, name: str) -> None:
    stage = Stage.of(toy, name)
    held = stage.context()
    before = copy.deepcopy(held.system.state_dict())
    run(stage.evaluation, held)
    if where := difference(before, held.system.state_dict(), "weights"):
        raise CheckFailed(f"it changes the model: {where}")
    training = [key for key, module in held.system.named_modules() if module.training]
    demand(not training, f"it leaves {(training or [''])[0] or 'the system'} in training mode")
    grads = [key for key, x in held.system.named_parameters() if x.grad is not None]
    demand(not grads, f"it leaves a gradient on {(grads or [''])[0]}")
    frozen = [key for key, x in held.system.named_parameters() if not x.requires_grad]
    own = {key for key, x in stage.context().system.named_parameters() if not x.requires_grad}
    demand(set(frozen) == own, f"it freezes {(sorted(set(frozen) - own) or [''])[0]}")


def needs_declared(toy: Toy, name: str) -> None:
    stage = Stage.of(toy, name)
    evaluation = stage.evaluation
    reduced = Declared(stage.source, frozenset(evaluation.needs))
    run(evaluation, stage.context(reduced))


def views_declared(toy: Toy, name: str) -> None:
    stage = Stage.of(toy, name)
    evaluation, held = stage.evaluation, stage.context()
    told = evaluation.views(held.inputs)
    demand(isinstance(told, Mapping), f"`views` gives a {type(told).__name__}, not views by name")
    run(evaluation, held)
    parts = set().union(*map(view_parts, told.values()))
    for objective in map(held.system.objectives.__getitem__, evaluation.config.named("objective").values()):
        own = objective.config.named("part").values()  # a role's views run through what its objective trains
        parts |= set().union(own, *map(view_parts, objective.views(held.system.inputs).values()))
    for view in held.asked:
        demand(
            view.part in parts,
            f"`run` asks for a view through '{view.part}', and `views` tells of none: `check` cannot refuse a model "
            "without it",
        )


def role_alone(toy: Toy, name: str) -> None:
    stage = Stage.of(toy, name)
    evaluation, held = stage.evaluation, stage.context()
    with_roles_alone(held, evaluation)
    run(evaluation, held)


def first_process_alone(toy: Toy, name: str) -> None:
    stage = Stage.of(toy, name)
    held = stage.context()
    wanted = run(stage.evaluation, held)
    with distributed.alone(), two_processes_announced():
        found = run(stage.evaluation, held)
    if where := difference(wanted, found):
        raise CheckFailed(f"in the first of two processes it gives something else: {where}")


@lru_cache(maxsize=2)
def _shuffled(toy: Toy, name: str) -> dict[str, list[Score]]:
    """Scores of several untrained systems on shuffled pairs."""
    stage, found = Stage.of(toy, name), dict[str, list[Score]]()
    columns = of_first_input(stage.made)
    for number in range(SYSTEMS):
        source = Shuffled(stage.source, columns, 1 + 2 * number)
        for key, score in run(stage.evaluation, stage.context(source, number)).items():
            if not key.startswith("oracle"):
                found.setdefault(key, []).append(score)
    return found


def _beside_chance(scores: list[Score]) -> tuple[float, float, float]:
    """The mean value, the mean chance, and how far chance may lie from it."""
    value, chance = (math.fsum(x) / len(scores) for x in ([s.value for s in scores], [s.chance or 0.0 for s in scores]))
    error = max((s.high - s.low) / 3.92 for s in scores) / math.sqrt(len(scores))
    return value, chance, ERRORS * max(error, 1e-9)


def shuffled_is_no_better(toy: Toy, name: str) -> None:
    for key, scores in _shuffled(toy, name).items():
        if any(score.chance is None for score in scores):
            continue
        value, chance, reach = _beside_chance(scores)
        if value > chance + reach and not scores[0].per_cent:
            raise CheckFailed(f"with shuffled pairs '{key}' is {value:.4g}, and its chance level is {chance:.4g}")
        demand(
            value <= chance + reach,
            f"with shuffled pairs, which tell nothing, '{key}' is {value:.3f}, and its chance level is {chance:.3f}",
        )


def chance_is_reached(toy: Toy, name: str) -> None:
    for key, scores in _shuffled(toy, name).items():
        if any(score.chance is None for score in scores):
            continue
        value, chance, reach = _beside_chance(scores)
        demand(
            value >= chance - reach,
            f"untrained systems score {value:.3f} in '{key}' on shuffled pairs, and its chance level is {chance:.3f}",
        )


def interval_covers(toy: Toy, name: str) -> None:
    stage = Stage.of(toy, name)
    size = stage.source.size(stage.split) // WINDOWS
    demand(size >= 2, f"intervals are tried on {WINDOWS} parts of a split: give a Toy with more samples")
    columns, count = of_first_input(stage.made), min(size, SIZE)
    found: dict[str, list[Score]] = {}
    pairs: dict[tuple[str, str], list[Any]] = {}
    for number in range(WINDOWS):
        window = Window(stage.source, stage.split, number, WINDOWS, count, pairs)
        for key, score in run(stage.evaluation, stage.context(Shuffled(window, columns), number)).items():  # type: ignore[arg-type]
            if not key.startswith("oracle"):
                found.setdefault(key, []).append(score)
    for key, scores in found.items():
        mean = math.fsum(score.value * score.n for score in scores) / sum(score.n for score in scores)
        nothing = [score for score in scores if score.high - score.low < 1e-9]
        rare = len({score.value for score in nothing}) == 1 and len(nothing) < len(scores)
        if len(scores) < WINDOWS or rare:  # cases of one kind alone in some part, of which no interval can be made
            continue
        covered = sum(score.low - 1e-9 <= mean <= score.high + 1e-9 for score in scores)
        demand(
            covered >= COVERED,
            f"of {WINDOWS} intervals of '{key}' {covered} hold what all parts of the data give, {mean:.4g}",
        )


def _check(name: str, description: str, hint: str, test: Callable[[Toy, str], None]) -> Check:
    return Check("evaluate", name, description, hint, test)


_CHECKS = [
    _check(
        "scores_are_sound",
        "Scores are finite, lie in their interval and count their cases.",
        "return {name: Score(value, chance, low, high, n)}; `accuracy(hits, chance)` makes one of a share.",
        scores_are_sound,
    ),
    _check(
        "two_calls_equal",
        "The same system and data give the same scores.",
        "keep nothing between calls; draw with vlobjectives.functional.noise and `held.seed`.",
        two_calls_equal,
    ),
    _check(
        "leaves_the_system",
        "Weights, gradients and modes of the model are left as they were.",
        "fit probes of your own on values that were read; `held.part(name)` is the run's own part.",
        leaves_the_system,
    ),
    _check(
        "needs_declared",
        "`needs` names all that the source must have beyond its samples.",
        "name it in `needs`, so that sources without it are left out.",
        needs_declared,
    ),
    _check(
        "views_declared",
        "`views` tells the views that `run` asks for.",
        "give from `views` all that goes into `held.values`.",
        views_declared,
    ),
    _check(
        "role_alone",
        "Of an objective it calls the methods of the role alone that its Config names.",
        "mark the field with Needs(ROLE); what another objective of that role lacks is private.",
        role_alone,
    ),
    _check(
        "first_process_alone",
        "It runs in the first process alone, and gives there what one process gives.",
        "call nothing of torch.distributed, and no gather.",
        first_process_alone,
    ),
    _check(
        "shuffled_is_no_better",
        "With shuffled pairs a score is no better than its chance level.",
        "look for the answer in what the model is shown, or for a chance level that counts too few chances.",
        shuffled_is_no_better,
    ),
    _check(
        "chance_is_reached",
        "Untrained systems reach the chance level: it is no higher than what guessing scores.",
        "count the answers that a guess chooses from; where it is that of the best blind guess, expect this failure.",
        chance_is_reached,
    ),
    _check(
        "interval_covers",
        "A 95 % interval holds the score of more data nearly always.",
        "count independent cases: n is not the number of comparisons; take `accuracy` or a bootstrap over samples.",
        interval_covers,
    ),
]
