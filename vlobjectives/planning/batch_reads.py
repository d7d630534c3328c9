"""What views need of a batch: a source whose batches lack some of it cannot feed them."""

from collections.abc import Mapping

from vlobjectives.contracts.config import Config
from vlobjectives.contracts.passes import MaskKey, PairsKey, View
from vlobjectives.planning.plan import PlanContext, of_views


def batch_reads(cast: PlanContext, views: Mapping[str, View], config: Config) -> frozenset[str]:
    """Names of the inputs and fields that an objective or evaluation reads.

    Those are the inputs of its views, what masks and pairings on the way to them look at, and what its Config names
    itself: an input or field of the batch that it reads beside its views.

    Args:
        cast: The recipe's inputs, masks, pairings and objectives.
        views: The views that it declares.
        config: Its options.

    Raises:
        ViewError: The views cannot be.
    """
    found, configs = set(), [config]
    for work in of_views(cast, views, "batch reads").work:
        if isinstance(work.key, MaskKey):
            found.add(work.key.input)
            configs.append(cast.masks[work.key.mask].config)
        elif isinstance(work.key, PairsKey):
            configs.append(cast.pairings[work.key.pairing].config)
        else:  # the passes of all encoders are among them, which every input stands before
            found.add(work.key.shown)
    return frozenset(found.union(*(one.named(kind).values() for one in configs for kind in ("input", "field"))))
