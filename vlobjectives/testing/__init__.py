"""The laws that every plug-in keeps, as checks that a plug-in's own tests can run.

In a test file of a package that brings the objective `my_loss` (found through its entry point, with an option `mask`):

    import pytest
    from vlobjectives.testing import objective_laws

    @pytest.mark.parametrize("law", objective_laws(), ids=str)
    def test_laws(law):
        law.check("my_loss", {"mask": "hidden_words"})

Each law builds a toy system around the plug-in with the real host (real recipe, plan, steps; toy parts and pairs;
float64; no network, milliseconds) and raises `Broken` with what went wrong, the law, and what to change. Options may
name the toys: inputs `image`, `text`; parts `vision`, `text`, `fusion`, `decoder`, `joint`, `words`; masks `dropped`,
`replaced`, `greyed`, `hidden_words`, `noisy_words`; pairing `others`. For anything else give a `Toy`:

    toy = Toy(objectives={"my_loss": {"negatives": "hard"}}, pairings={"hard": {"type": "hard_negatives"}})
    law.check("my_loss", toy)                                   # also on clips: toy.with_data(frames=2)
    Toy(plugins=["my_plugin.py"], ...)                          # a local plug-in file
    Toy(components={"objective:my_loss": MyLoss}, ...)          # a class that no plug-in names yet

`mask_laws()`, `pairing_laws()` and `part_laws()` do the same for masks, pairings and parts; an encoder takes the place
of the toy that it stands in for: `part_laws()[0].check("vision", Toy(model={"vision": {"type": "my_vision"}}))`.

A law that cannot hold is listed with the reason, and is then held to be broken:

    mask_laws(expected={"new_each_step": "hides the patches most like the caption, no chance in it"})

`processes_equal_one` starts two processes, which takes seconds; `processes.broken` checks many objectives in one pair.
"""

from vlobjectives.testing.law import Broken, Law
from vlobjectives.testing.mask_laws import mask_laws
from vlobjectives.testing.objective_laws import objective_laws
from vlobjectives.testing.pairing_laws import pairing_laws
from vlobjectives.testing.part_laws import part_laws
from vlobjectives.testing.toys import Toy

__all__ = ["Broken", "Law", "Toy", "mask_laws", "objective_laws", "pairing_laws", "part_laws"]
