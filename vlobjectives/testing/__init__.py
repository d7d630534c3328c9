"""The checks that every plug-in passes, for a plug-in's own tests to run.

In a test file of a package that brings the objective `my_loss` (found through its entry point, with an option `mask`):

    import pytest
    from vlobjectives.testing import objective_checks

    @pytest.mark.parametrize("check", objective_checks(), ids=str)
    def test_checks(check):
        check.run("my_loss", {"mask": "hidden_words"})

Each check builds a toy system around the plug-in with the real host (real recipe, plan, steps; toy parts and pairs;
float64; no network, milliseconds) and raises `CheckFailed` with what went wrong, the check, and what to change.
Options may name the toys: inputs `image`, `text`; parts `vision`, `text`, `fusion`, `decoder`, `joint`, `words`; masks
`dropped`, `replaced`, `greyed`, `hidden_words`, `noisy_words`; pairing `others`. For anything else give a `Toy`:

    toy = Toy(objectives={"my_loss": {"negatives": "hard"}}, pairings={"hard": {"type": "hard_negatives"}})
    check.run("my_loss", toy)                                   # also on clips: toy.with_data(frames=2)
    Toy(plugins=["my_plugin.py"], ...)                          # a local plug-in file
    Toy(components={"objective:my_loss": MyLoss}, ...)          # a class that no plug-in names yet

`mask_checks()`, `pairing_checks()` and `part_checks()` do the same for masks, pairings and parts; an encoder takes the
place of the toy that it stands in for: `part_checks()[0].run("vision", Toy(model={"vision": {"type": "my_vision"}}))`.

A check that cannot hold is listed with the reason, and must fail then:

    mask_checks(expected={"new_each_step": "hides the patches most like the caption, no chance in it"})

`processes_equal_one` starts two processes, which takes seconds; `processes.broken` checks many objectives in one pair.
"""

from importlib import import_module
from typing import Any

from vlobjectives.testing.check import Check, CheckFailed
from vlobjectives.testing.mask_checks import mask_checks
from vlobjectives.testing.objective_checks import objective_checks
from vlobjectives.testing.pairing_checks import pairing_checks
from vlobjectives.testing.part_checks import part_checks
from vlobjectives.testing.toys import Toy

__all__ = ["Check", "CheckFailed", "Toy", "mask_checks", "objective_checks", "pairing_checks", "part_checks"]


def __getattr__(name: str) -> Any:
    return import_module("vlobjectives.deprecated").attribute(__name__, name)
