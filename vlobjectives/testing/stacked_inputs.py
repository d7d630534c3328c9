"""The check of encoders that take the rows of several inputs at once."""

import torch

from vlobjectives.contracts.parts import Encoder
from vlobjectives.contracts.stacked import apart, stacked
from vlobjectives.planning.input_dropout import drawn_by_input
from vlobjectives.plugin_loading.attribution import ContractError
from vlobjectives.testing.check import CheckFailed, equal
from vlobjectives.testing.part_calls import each, rows
from vlobjectives.testing.toys import Toy


def stacked_inputs(toy: Toy, name: str) -> None:
    part = toy.system().model[name]
    for call in each(toy.changed(dropout=0.1), name) if isinstance(part, Encoder) and "stack" in part.spec.can else ():
        call.part.train()
        x, draw, want = call.args
        some = torch.arange(toy.rows) // 2  # other rows, so that statistics over them are others too
        inputs = [(x, draw), (rows(x, some), rows(draw, some))]
        wanted = []
        for seed, given in enumerate(inputs):
            torch.manual_seed(seed)
            wanted.append(call(*given, want))
        rows_of_both = [stacked(each) for each in zip(*inputs)]
        try:
            together = drawn_by_input(call, call.part, range(len(inputs)), some, *rows_of_both, want)
        except ContractError as error:
            raise CheckFailed(error.why, error.hint) from None
        for own, alone in zip(apart(together, len(inputs)), wanted):
            equal(own, alone, "among the rows of another input, in training mode, ")
