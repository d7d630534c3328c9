"""The recipe as strict pydantic models. What the host does not know of an entry are the options of its plug-in.

An entry (a mask, an objective, a part) is read here with the host's keys alone; its other keys are kept as written
and validated against the plug-in's own Config when that is known. `type` is always set: `schema` fills it in from
the entry's name.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from vlobjectives.contracts.numbers import Amount, Batched, Epsilon, Kept, Rate, Seed, Share, Steps
from vlobjectives.recipe.times import Decay, Time, Weight

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Group = Batched | Literal["all"]


class Section(BaseModel):
    """Base of all: no unknown key, no silent conversion, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Entry(Section):
    """Something that a plug-in brings."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)
    type: str = Field(description="the plug-in; by default the entry's name")

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are the plug-in's own, as written; its Config validates them."""
        return dict(self.model_extra or {})


class MixEntry(Entry):
    type: str = Field(description="the source of samples; by default data.type, or else the entry's name")
    weight: Amount = Field(1.0, gt=0, description="its share of the steps, beside the other sources' weights")
    rename: dict[str, str] = Field(
        {}, description="column of the source -> what the recipe calls it, where that differs: {clip: image}"
    )


class DataEntry(Entry):
    type: str = Field(description="the source of samples, such as scenes or captions; with `mix` of its entries")
    mix: dict[Name, MixEntry] | None = Field(
        None,
        min_length=1,
        description="sources by name that take turns, a step each, with what differs from the options beside",
    )
    batch: Batched = Field(description="pairs per optimiser step over all processes")
    micro_batch: Batched | None = Field(None, description="pairs a process passes at once; default batch / processes")
    workers: int = Field(
        0, ge=0, le=256, description="loader processes a training process; 0: loads in the process itself"
    )
    max_bad: Share = Field(0.01, description="share of unusable samples above which a run stops")
    max_pixels: int = Field(
        64_000_000, ge=1, le=10**12, description="pictures with more pixels than this are refused as unusable"
    )

    def rows(self, processes: int = 1) -> int:
        """Rows that each of so many processes passes at once."""
        return self.micro_batch or self.batch // processes

    def together(self, processes: int = 1) -> int:
        """Rows that a loss which gathers sees."""
        return self.rows(processes) * processes


class FieldEntry(Entry):
    type: str = Field(description="the reader; by default the field's name")
    of: str | None = Field(None, description="the column or field that is read; by default the one of the field's name")
    with_: str | None = Field(None, alias="with", description="the field whose vocabulary this one shares")


class PartEntry(Entry):
    """A part of the model."""


class MaskEntry(Entry):
    stream: str | None = Field(
        None, description="random stream, by default the mask's name; another mask's shares its draws"
    )


class PairingEntry(Entry):
    group: Batched | None = Field(
        None, description="consecutive rows that partners are found among; default data.micro_batch"
    )


class ObjectiveEntry(Entry):
    weight: Weight = Field(
        1.0,
        description="a number, or [time, weight] points with straight lines between; "
        "whole times are steps, times with a point shares of the run",
    )
    group: Group | None = Field(None, description="rows that the loss sees together: all, or so many consecutive ones")
    sources: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="sources of data.mix on whose batches it is computed; by default those that feed it",
    )


class BalanceEntry(Entry):
    type: str = Field(description="the balancer, such as uncertainty, gradnorm or pcgrad")
    on: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="parts, or patterns such as vision.blocks.11.*, whose gradients a balancer compares; "
        "by default the parts that two objectives train",
    )


class EvaluationEntry(Entry):
    type: str = Field(description="the evaluation; by default the key's name")
    sources: tuple[str, ...] | None = Field(
        None, min_length=1, description="sources of data.mix that it scores; by default those that have what it needs"
    )


class TrackerEntry(Entry):
    """What watches a run."""

    type: str = Field(description="the tracker; by default the key's name")


class InputEntry(Section):
    fields: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="fields that are fed, in this order")
    part: str = Field(description="the encoder that reads them")
    mask: str | None = Field(
        None, description="the input's own mask, applied in training wherever no other one is named"
    )


class Every(Section):
    """How often: `{steps: 250}` or `{share: 0.1}`."""

    steps: Steps | None = Field(None, description="every so many steps")
    share: Share | None = Field(None, gt=0, description="every such share of the run")

    @property
    def ways(self) -> int:
        """In how many ways it is said."""
        return (self.steps is not None) + (self.share is not None)


class ScheduleSection(Section):
    warmup: Time = Field(0, description="linear warm-up: whole number = steps, with a point = share of the run")
    then: Literal["cosine", "linear", "constant"] = Field("cosine", description="the rate after the warm-up")
    floor: Share = Field(0.05, description="where cosine and linear end, as a share of lr")


class OptimGroup(Section):
    match: str = Field(description="pattern over dotted parameter names, such as model.fusion.*; the first match wins")
    lr: Amount = Field(1.0, description="factor on optim.lr")
    weight_decay: Amount | None = Field(None, description="instead of optim.weight_decay")
    start: Time | None = Field(None, description="when the group's warm-up begins; by default with the run")


class Optim(Section):
    type: Literal["adamw"] = Field("adamw", description="the optimiser")
    lr: Rate = Field(description="learning rate at the top of the schedule")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.9, 0.98), description="decay of AdamW's two averages"
    )
    eps: Epsilon = Field(1e-8, description="AdamW's epsilon")
    weight_decay: Amount = Field(0.01, description="decoupled weight decay")
    clip: Annotated[Amount, Field(gt=0)] | None = Field(1.0, description="largest norm of all gradients; null: none")
    schedule: ScheduleSection = Field(ScheduleSection(), description="the learning rate over the run")
    groups: tuple[OptimGroup, ...] = Field((), description="parameters that differ; the first pattern that fits wins")


class CheckpointSection(Every):
    """When to save (neither: at the end alone) and how many of the newest to keep."""

    keep: Kept = Field(2, description="how many of the newest checkpoints stay")


class Ema(Section):
    decay: Decay = Field(
        0.996,
        description="what stays of averaged weights at a step: a number, [time, value] points with straight lines "
        "between, or {from: 0.996, to: 1.0} along a cosine over the run",
    )


class LogSection(Section):
    steps: Steps = Field(1, description="every so many steps a line in metrics.jsonl")
    conflict: Every | None = Field(
        None, description="how often the objectives' gradients are compared, part by part; null: never"
    )


class RunSection(Section):
    steps: Steps = Field(description="optimiser steps")
    device: Annotated[str, StringConstraints(pattern=r"^(auto|cpu|cuda(:\d+)?)$")] = Field(
        "auto", description="auto, cpu, cuda or cuda:N"
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field("auto", description="of the passes, not of losses")
    compile: Literal["none", "parts"] = Field("none", description="parts: torch.compile for each part of the model")
    checkpoint: CheckpointSection = Field(CheckpointSection(), description="when to save, and how many to keep")
    gradient: Literal["exact", "published"] = Field(
        "exact", description="over processes: exact, or as the published gather (local slice only) computes it"
    )
    ema: Ema = Field(Ema(), description="averages of weights over the steps")
    log: LogSection = Field(LogSection(), description="when metrics are logged")
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")] | None = Field(
        None, description="first part of the run folder's name; by default the recipe's"
    )
    folder: str = Field("runs", description="where run folders are made")


class PlanSection(Section):
    share: Literal["all", "none"] = Field("all", description="none computes each view for itself, for comparisons")
    published: tuple[tuple[str, ...], ...] = Field((), description="objectives that shared passes as published")
    checkpoint: tuple[str, ...] = Field((), description="parts whose activations are recomputed to save memory")
    stack: bool = Field(True, description="inputs of one encoder with equal shape are the rows of one pass")


class Evaluate(Section):
    """What to measure and when. The keys that are not listed are evaluations by name."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, EvaluationEntry] = Field(init=False)
    every: Every | None = Field(None, description="how often during the run, saved before; null: at its end alone")
    losses: bool = Field(True, description="every objective on held-out samples, those at weight 0 too")
    splits: tuple[str, ...] | None = Field(None, min_length=1, description="splits that are evaluated")

    @property
    def entries(self) -> dict[str, EvaluationEntry]:
        """The evaluations that are switched on, by name."""
        return dict(self.model_extra or {})


class Recipe(Section):
    """A system and its training, all plug-ins by name."""

    seed: Seed = Field(0, description="seed of everything that is random")
    init: str | None = Field(None, description="a run folder, whose weights and learned fields to begin with")
    plugins: tuple[str, ...] = Field((), description="local plug-in files")
    data: DataEntry = Field(description="a source of samples and how they are batched")
    fields: dict[Name, FieldEntry] = Field({}, description="readers that turn columns of the source into numbers")
    model: dict[Name, PartEntry] = Field(description="encoders, fusions, decoders, projections and heads")
    inputs: dict[Name, InputEntry] = Field({}, description="what encoders read, where `image` and `text` do not do")
    masks: dict[Name, MaskEntry] = Field({}, description="ways to corrupt an input")
    pairings: dict[Name, PairingEntry] = Field({}, description="ways to choose wrong pairs")
    objectives: dict[Name, ObjectiveEntry] = Field(min_length=1, description="the losses")
    balance: BalanceEntry | None = Field(
        None, description="what weighs the objectives against each other while they train; null: their weights alone"
    )
    optim: Optim = Field(description="the optimiser")
    run: RunSection = Field(description="how long, where, and what is kept")
    plan: PlanSection = Field(PlanSection(), description="what is shared and what is recomputed")
    evaluate: Evaluate = Field(Evaluate(), description="what to measure and when")
    trackers: dict[Name, TrackerEntry] = Field({}, description="what watches the run and records it")

    @property
    def sources(self) -> dict[str, Entry]:
        """The sources by name; one that stands alone has none ('')."""
        return dict(self.data.mix or {}) or {"": self.data}

    def column(self, field: str) -> str:
        """The column of the source that a field reads: that of the field which its `of` names, else what `of` says."""
        entry, order = self.fields[field], list(self.fields)
        if entry.of in self.fields and order.index(entry.of) < order.index(field):
            return self.column(entry.of)
        return entry.of or field


def source_path(name: str) -> tuple[str, ...]:
    """Where the options of a source stand."""
    return ("data", "mix", name) if name else ("data",)
