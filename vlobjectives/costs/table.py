"""A plan's costs as a person reads them, and as data."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Literal, TypedDict

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vlobjectives.costs import balance_costs
from vlobjectives.costs.plan_costs import Costs, Pass
from vlobjectives.costs.units import GIGA, _count, _flops, _number, _sample, flop, sized


class Column(TypedDict, total=False):
    """How a column is set, in rich's words."""

    justify: Literal["right"]
    no_wrap: bool
    min_width: int
    max_width: int


PLAIN: Column = {}
RIGHT: Column = {"justify": "right"}
WHOLE: Column = {"no_wrap": True}
READS, ASKERS = 40, 18
"""Columns that passes' inputs may take up, and that who asked for them has in any case."""
SCHEDULES = {
    "planned": "as planned: each pass once",
    "published": "as published",
    "unshared": "every objective by itself",
}
PARTS = {
    "batch": "the batch",
    "weights": "weights",
    "weights cast": "half-precision copies",
    "gradients": "gradients",
    "optimiser": "AdamW's averages",
    "backward": "backward in progress",
    "balance": "objectives' own gradients",
    "activations": "activations",
}


def data(costs: Costs) -> dict[str, Any]:
    """Everything that `renderable` shows, as JSON would have it: FLOPs and bytes as numbers, of a micro-batch, with
    FLOPs a sample beside them."""
    found = asdict(costs) | {
        "micro_steps": costs.micro_steps,
        "forward_per_sample": _sample(costs, costs.full.forward),
        "backward_per_sample": _sample(costs, costs.full.backward),
        "flops": costs.flops,
        "epochs": costs.epochs,
        "peak_memory": costs.memory.peak,
        "trained": sum(costs.parameters.values()),
    }
    for key in ("passes", "objectives"):
        for entry in found[key]:
            entry["flops_per_sample"] = _sample(costs, entry["flops"])
    for entry in found["schedules"].values():
        entry["forward_per_sample"] = _sample(costs, entry["forward"])
    return found


def renderable(costs: Costs) -> RenderableType:
    """The tables, about 120 columns wide."""
    parts: list[RenderableType] = [_head(costs), _passes(costs), _losses(costs), *_phases(costs)]
    parts += [_schedules(costs), _memory(costs)]
    spaced: list[RenderableType] = [item for part in parts for item in (part, Text())]
    return Group(*spaced)


def _head(costs: Costs) -> Text:
    full, pairs = costs.full, costs.micro_batch * costs.processes
    step = (full.forward + full.backward) / costs.micro_batch * costs.batch
    times = f" ({costs.epochs:.3g} epochs of {costs.samples:,} samples)" if costs.epochs is not None else ""
    whose = f", batches of {costs.source}" if costs.source else ""
    whose += f" without {' and '.join(costs.lacks)}" if costs.lacks else ""
    what = "samples" if costs.lacks else "pairs"
    lines = [
        Text.assemble(
            (costs.recipe, "bold"),
            f"{whose}  {_count(sum(costs.parameters.values()))} parameters trained, "
            f"{costs.steps:,} steps of {costs.batch:,} {what}{times}; counted for "
            f"{'a GPU' if costs.device == 'cuda' else 'a CPU'} in {costs.precision}, without running it.",
        ),
        Text(
            f"A sample costs {_sample(costs, full.forward) / GIGA:,.1f} GFLOP forward and "
            f"{_sample(costs, full.backward) / GIGA:,.1f} backward, a step {flop(step)}, the run "
            f"{flop(costs.flops)}; peak memory {sized(costs.memory.peak)}."
        ),
        Text(f"Passes: {', '.join(f'{len(passes)} {part}' for part, passes in _by_part(costs).items())}."),
    ]
    lines += [Text(f"Rows of one pass of {one.part}: {', '.join(one.stacked)}.") for one in costs.passes if one.stacked]
    lines += [Text(line) for line in balance_costs.lines(costs)]
    if costs.micro_steps > 1:
        lines.append(
            Text(
                f"A step passes its {costs.batch:,} {what} {pairs:,} at a time, {costs.micro_steps} times "
                f"({costs.micro_batch} a process, {costs.processes} process{'es' * (costs.processes > 1)}): "
                f"no loss compares more than {pairs:,}."
            )
        )
    return Text("\n").join(lines)


def _passes(costs: Costs) -> Table:
    table = _table("What runs", "one micro-batch; captions and padding at full length")
    number: Column = {**RIGHT, **WHOLE}  # what is too wide for the line is folded in the two columns of words
    columns: list[tuple[str, Column]] = [
        ("part", WHOLE),
        ("weights", number),
        ("reads", {"max_width": READS}),
        ("rows x tokens", number),
        ("GFLOP\na sample", number),
        ("TFLOP\na step", number),
        ("kept for\nbackward", number),
        ("asked for by", {"min_width": ASKERS}),
    ]
    for name, how in columns:
        table.add_column(name, **how)
    everybody = tuple(work.name for work in costs.objectives)
    held, groups = costs.full.memory.passes, _by_part(costs)
    weights = {**costs.parameters, **costs.averages}
    for part, passes in groups.items():
        for place, one in enumerate(passes):
            first = place == 0
            table.add_row(
                Text(part, "bold") if first else "",
                _count(weights.get(part, 0)) if first else "",
                one.reads,
                f"{one.rows} x {' + '.join(map(str, one.tokens))}",
                *_flops(costs, one.flops),
                sized(held.get(one.name, 0)),
                _consumers(one.consumers, everybody),
                end_section=one is passes[-1],
            )
    for place, work in enumerate(costs.objectives):
        own = sum(costs.parameters.get(name, 0) for name in (work.name, *work.heads))
        table.add_row(
            Text("losses", "bold") if place == 0 else "",
            _count(own) if own else "",
            work.name + (f", with {', '.join(work.heads)}" if work.heads else ""),
            "",
            *_flops(costs, work.flops),
            sized(held.get(work.name, 0)),
            "",
            end_section=work is costs.objectives[-1],
        )
    table.add_row(
        "in all",
        _count(sum(costs.parameters.values())),
        f"{len(costs.passes)} passes",
        "",
        *_flops(costs, costs.full.forward),
        sized(sum(held.values())),
        "",
        style="bold",
    )
    return table


def _losses(costs: Costs) -> Table:
    table = _table("What is learned", "chance: what a guess that knows nothing pays")
    for name, how in (
        ("loss", PLAIN),
        ("weight", RIGHT),
        ("scored in a micro-batch", RIGHT),
        ("pairs seen together", RIGHT),
        ("chance level", RIGHT),
    ):
        table.add_column(name, **how)
    for work in costs.objectives:
        together = f"{work.rows} of {costs.batch:,}" if work.rows < costs.batch else f"{work.rows}"
        for loss in work.losses:
            table.add_row(
                f"{work.name}/{loss.name}",
                f"{loss.weight:g}" if loss.weight else "0 (metric)",
                "" if loss.scored is None else f"{loss.scored:,.0f}",
                together,
                "" if loss.chance is None else f"{loss.chance:.3f}",
            )
    return table


def _phases(costs: Costs) -> Iterator[Table]:
    """When objectives come and go."""
    if len(costs.phases) < 2:
        return
    table = _table("When", "an objective of weight 0 costs nothing")
    for name, how in (
        ("from step", RIGHT),
        ("steps", RIGHT),
        ("live", PLAIN),
        ("passes", RIGHT),
        ("GFLOP a sample,\nforward", RIGHT),
        ("backward", RIGHT),
        ("peak memory", RIGHT),
    ):
        table.add_column(name, **how)
    for phase in costs.phases:
        table.add_row(
            f"{phase.first:,}",
            f"{phase.steps:,}",
            ", ".join(phase.objectives),
            f"{phase.passes}",
            f"{_sample(costs, phase.forward) / GIGA:.3g}",
            f"{_sample(costs, phase.backward) / GIGA:.3g}",
            sized(phase.memory.peak),
        )
    yield table


def _schedules(costs: Costs) -> Table:
    table = _table("What sharing saves", "the same losses, run in other ways (printed, never run)")
    parts = list(_by_part(costs))
    table.add_column("schedule")
    for part in parts:
        table.add_column(f"{part}\npasses", justify="right")
    for name in ("GFLOP\na sample", "", "kept for\nbackward", ""):
        table.add_column(name, justify="right")
    planned = costs.schedules["planned"]
    for name, one in costs.schedules.items():
        groups = " | ".join(" ".join(group) for group in one.groups)
        table.add_row(
            SCHEDULES[name] + (f": {groups}" if name == "published" else ""),
            *(f"{one.passes.get(part, 0)}" for part in parts),
            _number(_sample(costs, one.forward) / GIGA),
            f"x {one.forward / planned.forward:.2f}",
            sized(one.activations),
            f"x {one.activations / planned.activations:.2f}",
            style="bold" if name == "planned" else "",
        )
    return table


def _memory(costs: Costs) -> Text:
    memory = costs.memory
    parts = ", ".join(f"{PARTS[name]} {sized(size)}" for name, size in memory.parts.items() if size)
    lines = [Text.assemble(("Peak memory ", "bold"), f"{sized(memory.peak)}: {parts}.")]
    said = {one.name: f"{one.part} of {one.reads}" for one in costs.passes}
    largest = "; ".join(f"{said.get(name, name)} {sized(size)}" for name, size in memory.largest(3))
    lines.append(Text(f"The largest holders of activations: {largest}."))
    if costs.recomputed:
        lines.append(Text(f"Recomputed in the backward pass: {', '.join(costs.recomputed)}."))
    else:
        by_part = {
            part: sum(memory.passes.get(one.name, 0) for one in passes) for part, passes in _by_part(costs).items()
        }
        parts = ",".join(
            sorted(
                (part for part in by_part if part not in costs.averages), key=lambda part: by_part[part], reverse=True
            )[:2]
        )
        lines.append(
            Text(
                f"plan.checkpoint=[{parts}] would recompute these parts in the backward pass in place of "
                "keeping their activations."
            )
        )
    if costs.averages:
        kept = ", ".join(f"{_count(count)} of {part}" for part, count in costs.averages.items())
        lines.append(Text(f"Run by averaged weights, without gradient: {kept}, kept beside the trained ones."))
    for name, buffers in costs.state.items():
        shapes = ", ".join(f"{key} {' x '.join(map(str, shape)) or '1'}" for key, shape in buffers.items())
        lines.append(Text(f"Changed by {name} after each step, and saved: {shapes or 'no buffer'}."))
    if costs.unknown:
        names = ", ".join(f"{name} ({count} times)" for name, count in costs.unknown.items())
        lines.append(Text(f"Not counted, because torch's counter has no formula: {names}.", "yellow"))
    return Text("\n").join(lines)


def _table(title: str, caption: str) -> Table:
    return Table(
        title=Text.assemble((title, "bold"), (f"  {caption}", "dim")),
        title_justify="left",
        box=SIMPLE,
        header_style="dim",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _by_part(costs: Costs) -> dict[str, list[Pass]]:
    """Passes by part: encoders first, then what stands on them."""
    order = ("encoded", "fused", "decoded", "joint")
    found: dict[str, list[Pass]] = {}
    for one in sorted(costs.passes, key=lambda one: order.index(one.kind) if one.kind in order else len(order)):
        found.setdefault(one.part, []).append(one)
    return found


def _consumers(consumers: tuple[str, ...], whole: tuple[str, ...]) -> str:
    return "all" if len(whole) > 1 and set(whole) <= set(consumers) else ", ".join(consumers)
