"""Four captions through one text tower: as rows of one pass, and each by itself.

    python benchmarks/stacked.py [--rounds 15] [--rows 4,8,16,64] [--json FILE]

A step is forward and backward of the tower alone (`itc`'s, of two blocks, width 128, on captions of 34 pieces) with
batches of so many pictures, in turns in one process; ratios are of neighbouring turns. Two minutes on two cores.
"""

from collections.abc import Callable, Iterator

import paired
import torch

from vlobjectives import Objective, Term, encoded
from vlobjectives.testing import Toy

TEXTS = ("text", "caption_2", "caption_3", "caption_4")
TOWER = {
    "model_type": "roberta-prelayernorm",
    "hidden_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 512,
}


class Squares(Objective):
    """A sum over all tokens of four captions, which costs nothing beside the tower."""

    def views(self, inputs):
        return {f"view_{place}": encoded(inputs[name]) for place, name in enumerate(TEXTS)}

    def forward(self, view_0, view_1, view_2, view_3):
        views = (view_0, view_1, view_2, view_3)
        return {"sum": Term(sum(x.tokens.square().mean() for x in views), 1)}


def steps(rows: int, dropout: float) -> Iterator[tuple[str, Callable[[], None]]]:
    """A step with inputs stacked, and with each by itself."""
    reader = {"type": "byte_pair", "length": 34}
    toy = Toy(
        objectives={"squares": {}},
        components={"objective:squares": Squares},
        data={"type": "scenes", "image_size": 32, "samples": 256, "captions": {"draw": len(TEXTS)}},
        fields={"caption": {**reader, "size": 512}} | {name: {**reader, "with": "caption"} for name in TEXTS[1:]},
        inputs={name: {"fields": [name], "part": "text"} for name in TEXTS[1:]},
        model={
            "text": {
                "type": "hf_text",
                "config": {**TOWER, "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout},
            }
        },
        rows=rows,
    )
    batch = toy.batch(dtype=torch.float32)
    for name, stack in (("stacked", True), ("apart", False)):
        system = toy.changed(plan={"stack": stack}).system(train=True).float()

        def step(system=system) -> None:
            system(batch, 0).total.backward()
            system.zero_grad()

        yield name, step


def table(rounds: int, sizes: list[int]) -> list[dict[str, str]]:
    """A row for each size of batch, without dropout and with it."""
    rows = []
    for dropout in (0.0, 0.1):
        for count in sizes:
            taken = paired.turns(dict(steps(count, dropout)), rounds)
            rows.append(
                {
                    "captions": f"4 x {count}",
                    "dropout": f"{dropout:g}",
                    "apart, ms": paired.said(paired.median(1e3 * second for second in taken["apart"]), 1),
                    "stacked, ms": paired.said(paired.median(1e3 * second for second in taken["stacked"]), 1),
                    "times as fast": paired.said(paired.ratio(taken["apart"], taken["stacked"]), 2),
                }
            )
    return rows


if __name__ == "__main__":
    asked = paired.options(__doc__, rounds=15, rows=("4,8,16,64", "pictures of a batch, several by commas"))
    sizes = [int(size) for size in asked.rows.split(",")]
    paired.show("Four captions through one text tower", table(asked.rounds, sizes), asked.json)
