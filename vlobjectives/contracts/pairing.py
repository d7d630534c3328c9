"""Pairings: which wrong pairs a matching loss sees."""

from collections.abc import Mapping
from typing import Any, ClassVar

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.config import PairingConfig
from vlobjectives.contracts.configured import Configured
from vlobjectives.contracts.noise import Noise
from vlobjectives.contracts.values import Pairs
from vlobjectives.contracts.views import Input, View


class Pairing(Configured):
    """Chooses wrong pairs within a group of consecutive rows; the host cuts the batch into groups."""

    Config: type[PairingConfig] = PairingConfig
    paper: ClassVar[str] = ""

    def __init__(self, config: PairingConfig):
        self.config = config

    def views(self, inputs: Mapping[str, Input]) -> Mapping[str, View]:
        """Declare the views that the choice looks at; none by default.

        Args:
            inputs: The inputs by name as the recipe has them, own masks included.

        Returns:
            The views, by the keyword under which `wrong` gets the value of each, cut to the group, without gradient.
        """
        return {}

    def rows(self, group: int) -> int:
        """Return R, the number of wrong pairs that a group of `group` rows gives: static, by default one a row."""
        return group

    def wrong(self, noise: Noise, batch: Batch, *args: Any, **views: Any) -> Pairs:
        """Choose the wrong pairs of one group.

        Args:
            noise: Random numbers of the pairing's stream, a row for each sample of the group.
            batch: The rows of the group; read-only.
            *args: Nothing; an override lists the views that it takes.
            **views: Values of the views that `views` declares, by the same names.

        Returns:
            R pairs, whose indices count from the group's first row. None is of one picture:
            `batch.same[image] != batch.same[text]` wherever `valid`.
        """
        raise NotImplementedError
