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
        """Views that the choice looks at, inputs as the recipe has them, own masks included; they come cut to the
        group, without gradient."""
        return {}

    def rows(self, group: int) -> int:
        """R, the wrong pairs that a group of that many rows gives; static."""
        return group

    def wrong(self, noise: Noise, batch: Batch, *args: Any, **views: Any) -> Pairs:
        """The wrong pairs of one group; indices count from the group's first row. Never the same picture:
        `batch.same[image] != batch.same[text]` wherever `valid`."""
        raise NotImplementedError
