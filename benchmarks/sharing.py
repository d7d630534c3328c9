"""Step time of a recipe with all objectives live: planned, against the published groups and against no sharing.

    python benchmarks/sharing.py [--recipe glscl] [--rounds 15] [--json FILE]

One system, one batch in memory, the same losses and gradients three ways; a step is forward, backward, clipping and
optimiser. About three minutes on two cores.
"""

from collections.abc import Callable
from dataclasses import replace

import paired
import torch

import vlobjectives
from vlobjectives.training.optimizer import Optimizer


def ways(system: "vlobjectives.api.BuiltSystem") -> dict[str, str | tuple[tuple[str, ...], ...]]:
    """Schedule -> `share` of `System.plan`; the published groups hold each objective, some by itself."""
    published = system.recipe.plan.published
    alone = tuple((name,) for name in system.objectives if not any(name in group for group in published))
    return {"planned": "all", **({"published": published + alone} if published else {}), "unshared": "none"}


def main() -> None:
    asked = paired.options(
        __doc__,
        15,
        recipe=("glscl", "recipe, by name or file"),
        samples=(512, "training pictures that are drawn; the step does not hang on it"),
    )
    system = vlobjectives.build(asked.recipe, f"data.samples={asked.samples}", device="auto").train()
    step, batch = system.recipe.run.steps - 1, next(system.batches())
    optimiser = Optimizer(system, system.recipe.optim.model_copy(update={"lr": 1e-12}), system.recipe.run.steps)
    settings = system.settings

    def stepping(share: str | tuple[tuple[str, ...], ...]) -> Callable[[], float]:
        def one() -> float:
            system.settings = replace(settings, share=share)
            optimiser.zero()
            total = system(batch, step).total
            total.backward()
            optimiser.clip(optimiser.norm())
            optimiser.step()
            return total.item()

        return one

    contestants = {name: stepping(share) for name, share in ways(system).items()}
    first = {name: one() for name, one in contestants.items()}
    worst = max(abs(value / first["planned"] - 1) for value in first.values())
    if worst > (2e-2 if system.autocast else 1e-5):
        raise SystemExit(f"the schedules do not compute the same loss: {first}")
    taken = paired.turns(contestants, asked.rounds)
    rows = [
        {
            "schedule": name,
            "passes": str(len(system.plan(system.live(step), share).passes)),
            "seconds a step": paired.said(paired.median(taken[name])),
            "planned takes of it": paired.said(paired.ratio(taken["planned"], taken[name])),
        }
        for name, share in ways(system).items()
    ]
    paired.show(
        f"{asked.recipe}, {batch.size} pairs, {', '.join(system.live(step))}; {asked.rounds} rounds, median [95 %]",
        rows,
        asked.json,
        seconds=taken,
        losses=first,
    )
    if torch.cuda.is_available():
        print(f"peak memory {torch.cuda.max_memory_allocated() / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
