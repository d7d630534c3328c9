"""Running on fake tensors: shapes without numbers, as the check of shapes and the count of costs run."""

from collections.abc import Callable
from typing import Any

from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
)

from vlobjectives.plugin_loading.attribution import line_of, whose
from vlobjectives.testing.check import CheckFailed

WORDS = {
    "aten._local_scalar_dense.default": ".item(), float(x), `if x` or `x in y`",
    "aten.nonzero.default": "a boolean index, nonzero() or a where() of one argument",
}
"""What people write, by the operator that it becomes."""


def on_fake_tensors(run: Callable[[Any], object], given: Any) -> None:
    """Calls `run` with `given` (Rows) made fake. Raises CheckFailed where an operation needs a number of the device."""
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        try:
            run(given.map(mode.from_tensor))
        except (DataDependentOutputException, DynamicOutputShapeException) as error:
            note = whose(error)
            place = line_of(error, note.files) if note else None
            what = WORDS.get(str(error.func), "an operator")
            raise CheckFailed(
                f"{what} ({error.func}) needs numbers where only shapes are known", place=place
            ) from error
