"""Each objective's own gradient, beside the one that trains: summed over micro-batches and processes."""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor
from torch._functorch import config as functorch

from vlobjectives.runtime import distributed
from vlobjectives.system.losses import Losses
from vlobjectives.system.reached_parts import Chosen


def keep_compiled_graphs() -> None:
    """Has parts that are compiled from now on keep their graph for several backward passes; numbers are the same."""
    functorch.donated_buffer = False


class ObjectiveGradients:
    """The gradient of each live objective's share of the total on chosen parameters, in their precision.

    `add` comes between a micro-batch's forward and its backward pass, whose numbers it leaves as they are: each
    objective runs backward by itself through the same graph, which is kept. `summed` follows the last micro-batch.
    """

    def __init__(self, chosen: Chosen, names: Sequence[str]):
        self.chosen = {part: tuple(parameters) for part, parameters in chosen.items()}
        self.names = tuple(names)
        self._all = tuple(parameter for parameters in self.chosen.values() for parameter in parameters)
        self._rows: list[list[Tensor] | None] = [None] * len(self.names)

    def add(self, losses: Losses, scale: Tensor | float = 1.0) -> None:
        """Adds a micro-batch; `scale` multiplies the loss, as fp16 needs it, and the gradient is divided by it."""
        for place, name in enumerate(self.names):
            share = losses.share(name)
            if not share.requires_grad:
                continue
            found = torch.autograd.grad(share * scale, self._all, retain_graph=True, allow_unused=True)
            own = [
                torch.zeros_like(parameter) if gradient is None else gradient.detach() / scale
                for parameter, gradient in zip(self._all, found)
            ]
            so_far = self._rows[place]
            if so_far is None:
                self._rows[place] = own
            else:
                torch._foreach_add_(so_far, own)

    def summed(self) -> dict[str, Tensor]:
        """Part -> [n, P], the same on every process; the numbers of a part's parameters end to end."""
        rows = torch.stack([self._flat(row) for row in self._rows])
        self._rows = []  # one of the two is enough to keep
        if distributed.active():
            torch.distributed.all_reduce(rows)
        sizes = [sum(parameter.numel() for parameter in parameters) for parameters in self.chosen.values()]
        return dict(zip(self.chosen, rows.split(sizes, dim=1)))

    def _flat(self, row: list[Tensor] | None) -> Tensor:
        return torch.cat([x.reshape(-1) for x in (row or [torch.zeros_like(p) for p in self._all])])


@torch.no_grad()
def put(chosen: Chosen, combined: Mapping[str, Tensor], scale: Tensor | float = 1.0) -> None:
    """Puts gradients [P] in the place of those of chosen parameters; one that has none goes on without."""
    for part, flat in combined.items():
        parameters = chosen[part]
        for parameter, own in zip(parameters, flat.split([p.numel() for p in parameters])):
            if parameter.grad is not None:
                parameter.grad.copy_(own.view_as(parameter) * scale)


def conflict(
    names: Sequence[str], gradients: Mapping[str, Tensor], reached: Mapping[str, Collection[str]]
) -> dict[str, Tensor]:
    """Norms and cosines of objectives' gradients, part by part: `part/norm/itc`, `part/cosine/itc/mlm`; 0-d.

    reached  objective -> the parts that its gradient may reach; of others there is nothing to tell
    """
    found: dict[str, Tensor] = {}
    for part, rows in gradients.items():
        here = [i for i, name in enumerate(names) if part in reached[name]]
        norms = {i: torch.linalg.vector_norm(rows[i], dtype=torch.float64) for i in here}
        found |= {f"{part}/norm/{names[i]}": norms[i] for i in here}
        for i, j in combinations(here, 2):
            inner = torch.dot(rows[i], rows[j]).double()
            found[f"{part}/cosine/{names[i]}/{names[j]}"] = inner / (norms[i] * norms[j])
    return found
