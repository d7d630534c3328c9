"""The checks that every plug-in passes, for a plug-in's own tests to run.

In a test file of a package that brings the objective `my_loss` (found through its entry point, with an option `mask`):

    from vlobjectives.testing import parametrize_with_checks

    @parametrize_with_checks("my_loss", {"mask": "hidden_words"})
    def test_checks(check):
        check()

A class can be given in place of the name, whether or not a plug-in names it: `@parametrize_with_checks(MyLoss)`. Every
kind has its checks. In a terminal `vlobj conform my_loss mask=hidden_words` runs the same.

Each check builds a toy system around the plug-in with the real host (real recipe, plan, steps; toy parts and pairs;
float64; no network, milliseconds) and raises `CheckFailed` with what went wrong, the check, and what to change.
Options may name the toys: inputs `image`, `text`; parts `vision`, `text`, `fusion`, `decoder`, `joint`, `words`; masks
`dropped`, `replaced`, `greyed`, `hidden_words`, `noisy_words`; pairing `others`. For anything else give a `Toy`:

    toy = Toy(objectives={"my_loss": {"negatives": "hard"}}, pairings={"hard": {"type": "hard_negatives"}})
    @parametrize_with_checks("my_loss", toy)                    # also on clips: toy.with_data(frames=2)
    Toy(plugins=["my_plugin.py"], ...)                          # a local plug-in file
    Toy(components={"mask:my_mask": MyMask}, ...)               # a further class, which no plug-in names yet

A part takes the place of the toy that it stands in for: an encoder of pictures that of `vision`, one of texts of
`text`; where that cannot be seen, say so: `Toy(model={"text": {"type": "my_text"}})`.

A check that cannot hold is listed with the reason, and must fail then:

    @parametrize_with_checks(MyMask, expected={"new_each_step": "hides what is most like the caption, no chance in it"})

A reader takes the place of that of the column `caption`, or reads another column (`of: COLUMN`). An evaluation is tried
on untrained parts, a source by itself, a tracker in runs of three steps. What they need of one another stands in a Toy:

    Toy(data={"type": "my_source"}, fields={"my_reader": {"of": "wave"}}, evaluate={"my_evaluation": {}})

`checks_of(MyLoss, ...)` returns the same checks as a list. `objective_checks()`, `mask_checks()` and so on return those
of a kind, to be run one by one: `objective_checks()[0].run("my_loss", toy)`.

The check `processes_equal_one` starts two processes, which takes seconds. `processes.broken` checks many objectives in
one pair of processes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vlobjectives.testing.balancer_checks import balancer_checks
from vlobjectives.testing.check import Check, CheckFailed
from vlobjectives.testing.evaluation_checks import evaluation_checks
from vlobjectives.testing.mask_checks import mask_checks
from vlobjectives.testing.objective_checks import objective_checks
from vlobjectives.testing.pairing_checks import pairing_checks
from vlobjectives.testing.parametrize import checks_of, parametrize_with_checks
from vlobjectives.testing.part_checks import part_checks
from vlobjectives.testing.reader_checks import reader_checks
from vlobjectives.testing.source_checks import source_checks
from vlobjectives.testing.toys import Toy
from vlobjectives.testing.tracker_checks import tracker_checks

__all__ = [
    "Check",
    "CheckFailed",
    "Toy",
    "balancer_checks",
    "checks_of",
    "evaluation_checks",
    "mask_checks",
    "objective_checks",
    "pairing_checks",
    "parametrize_with_checks",
    "part_checks",
    "reader_checks",
    "source_checks",
    "tracker_checks",
]


if not TYPE_CHECKING:  # to a type checker a name that is not above is a mistake

    def __getattr__(name: str) -> Any:
        return import_module("vlobjectives.deprecated").attribute(__name__, name)
