"""The library's training step against the same step written by hand for this one model (benchmarks/by_hand.py).

    python benchmarks/overhead.py [--rounds 21] [--json FILE]

The small GLSCL recipe with all five objectives live, batches already in memory, the same modules, masks, losses,
clipping and optimiser; both fetch loss and gradient norm, as one does to log them. First both get the same draws, and
their losses and gradients must agree. Three minutes on two cores.
"""

import itertools

import paired
import torch
from by_hand import ByHand

import vlobjectives
from vlobjectives.api import BuiltSystem
from vlobjectives.contracts.passes import MaskKey, PairsKey
from vlobjectives.data.loader import Layout, LoadedBatch, MicroBatches
from vlobjectives.training.optimizer import Optimizer
from vlobjectives.training.trainer import Trainer

MASKED = {"dropped": "image", "replaced": "image", "noisy_words": "text", "hidden_words": "text"}


def in_memory(system: BuiltSystem, count: int) -> list[LoadedBatch]:
    batch = system.recipe.data.batch
    data = MicroBatches(
        system.data_module.source, system.data_module.fields, "train", Layout(batch, batch), system.recipe.seed
    )
    return [data[item] for item in range(count)]


def agree(system: BuiltSystem, hand: ByHand, loaded: LoadedBatch) -> dict[str, tuple[float, float]]:
    """Both ways' losses on the same draws. Raises SystemExit where they, or the gradients, differ."""
    batch = system.data_module.fields.normalised(loaded.batch.to(system.device))
    stage = system.stage(hand.at)
    drawn = {mask: stage.draw(MaskKey(mask, name), batch, {}) for mask, name in MASKED.items()}
    drawn["others"] = stage.choose(PairsKey("others", 0.5), batch, {})
    own = hand.draw(batch)
    for mask in MASKED:
        if any(
            own[mask].hidden.sum() == 0 or getattr(own[mask], x).shape != getattr(drawn[mask], x).shape
            for x in ("hidden", "index")
        ):
            raise SystemExit(f"mask {mask} is not drawn alike")
    losses = system(batch, hand.at)
    theirs, ours = hand.losses(batch, drawn), {name: losses.value(name) for name in losses.terms}
    found = {name: (ours[name].item(), value.item()) for name, value in theirs.items()}
    close = 2e-2 if system.autocast else 1e-5
    gradients = []
    for total in (losses.total, hand.total(theirs)):
        system.zero_grad(set_to_none=True)
        total.backward()
        gradients.append(torch.cat([p.grad.flatten().double() for p in hand.parameters if p.grad is not None]))
    apart = ((gradients[0] - gradients[1]).norm() / gradients[1].norm()).item()
    if any(abs(a - b) > close * abs(b) for a, b in found.values()) or apart > 10 * close:
        raise SystemExit(f"the two do not compute the same: {found}, gradients apart by {apart:.2g}")
    return found


def main() -> None:
    asked = paired.options(__doc__, 21)
    system = vlobjectives.build("glscl", "data.samples=512", device="auto").train()
    recipe = system.recipe
    step = recipe.run.steps - 1
    batches = in_memory(system, 8)
    hand = ByHand(system, step)
    layout = Layout(recipe.data.batch, recipe.data.batch)
    trainer = Trainer(
        system, Optimizer(system, recipe.optim, recipe.run.steps), system.data_module.fields, layout, system.device
    )
    losses = agree(system, hand, batches[0])
    for_library, for_hand = itertools.cycle(batches), itertools.cycle(batches)
    taken = paired.turns(
        {"by hand": lambda: hand.step(next(for_hand)), "library": lambda: trainer.step(step, for_library)},
        asked.rounds,
        warmup=3,
    )
    rows = [
        {
            "step": name,
            "seconds": paired.said(paired.median(seconds)),
            "of by hand": paired.said(paired.ratio(seconds, taken["by hand"])),
        }
        for name, seconds in taken.items()
    ]
    paired.show(
        f"glscl, {recipe.data.batch} pairs, five objectives, "
        f"{'fp32' if system.autocast is None else str(system.autocast[1])}; "
        f"{asked.rounds} rounds, median [95 %]",
        rows,
        asked.json,
        seconds=taken,
        losses=losses,
    )


if __name__ == "__main__":
    main()
