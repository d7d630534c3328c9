"""What `vlobj data` shows, as a person reads it."""

from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any

from rich.table import Table
from rich.text import Text

from vlobjectives.checking.data_overview import DataOverview, FirstSample
from vlobjectives.contracts.field import FieldSpec
from vlobjectives.errors import Problem
from vlobjectives.recipe.dump import dump_data
from vlobjectives.runtime.console import Wide

FIRST = 5
"""Problems of a source that are shown."""


def show(what: str, sources: Sequence[DataOverview], block: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    """Print every source, and the `data:` block of a recipe."""
    wide = Wide(highlight=False)
    for one in sources:
        wide.print(Text(f"{what}{f', data.mix.{one.name}' if one.name else ''}", "bold"))
        wide.print(_facts(one, run))
        if one.records:
            wide.print(Text(f"The first of {one.sizes['train']:,} training samples", "dim"))
        for record in one.records:
            wide.print(_record(record), markup=False, soft_wrap=True)
        for line in _problems(one):
            wide.print(line, markup=False, soft_wrap=True)
        wide.print()
    wide.print(Text("In a recipe", "bold"))
    wide.print(yaml(block), markup=False, soft_wrap=True)


def yaml(block: Mapping[str, Any]) -> str:
    """The section `data` of a recipe, a key a line."""
    lines = (
        dump_data({key: value}, flow=None if isinstance(value, dict | list) else False) for key, value in block.items()
    )
    return "data:\n" + indent("".join(lines), "  ").rstrip()


def _facts(one: DataOverview, run: Mapping[str, Any]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    rows = {"source": one.type, "form": one.summary.form}
    rows["columns"] = "\n".join(f"{name}: {_column(spec)}" for name, spec in one.columns.items())
    rows["samples"] = ", ".join(f"{split} {size:,}" for split, size in one.sizes.items() if size) or "none"
    rows["splits"] = one.summary.split_by
    if one.epochs is not None:
        rows["epochs"] = f"{one.epochs:.3g}, in {run['steps']:,} steps of {run['batch']:,}"
    for name, text in rows.items():
        if text:
            table.add_row(Text(name, "dim"), Text(text))
    return table


def _column(spec: FieldSpec) -> str:
    shape = f" [{','.join(map(str, spec.shape))}]" if spec.shape else ""
    kind = "needs a reader" if spec.kind == "raw" else f"{spec.kind}{shape}"
    return f"{kind}, of the caption" if spec.of_caption else kind


def _record(record: FirstSample) -> str:
    """A sample: what it is called, and a line a column."""
    if record.reason:
        return f"{record.key}: cannot be used: {record.reason}"
    wide = max(map(len, record.values), default=0)
    return "\n".join([record.key, *(f"    {name:{wide}}  {value}" for name, value in record.values.items())])


def _problems(one: DataOverview) -> list[str]:
    """How many samples are lost, then the first problems."""
    looked = f" among the first {one.looked} files of each split (--thorough looks at all)" if one.looked else ""
    lines = [
        f"{lost:,} of {one.sizes.get(split, 0):,} samples of {split} cannot be used{looked}"
        for split, lost in one.lost.items()
    ]
    if not one.problems:
        return [f"no problem found{looked}"]
    errors: list[Problem] = sorted(one.problems, key=lambda problem: problem.note)
    lines += [str(problem) for problem in errors[:FIRST]]
    if len(errors) > FIRST:
        lines.append(f"and {len(errors) - FIRST:,} more; `vlobj check RECIPE --data` and --json name all")
    return lines
