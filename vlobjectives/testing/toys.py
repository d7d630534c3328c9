"""A toy system: the real host on toy parts and toy pairs, in float64, milliseconds a step."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from vlobjectives.contracts.batch import Batch
from vlobjectives.contracts.hooks import hookimpl
from vlobjectives.contracts.source import Sample
from vlobjectives.data.data_module import DataModule, build_data
from vlobjectives.recipe.layers import Layered
from vlobjectives.recipe.loading import Loaded
from vlobjectives.recipe.model import Recipe
from vlobjectives.recipe.schema import prepared
from vlobjectives.registry import Registry
from vlobjectives.resolved.resolved import Resolved, typed
from vlobjectives.system import assemble
from vlobjectives.system.system import System

MODEL = {
    "vision": {"type": "toy_vision"},
    "text": {"type": "toy_text"},
    "fusion": {"type": "toy_fusion"},
    "decoder": {"type": "toy_decoder"},
    "joint": {"type": "toy_joint"},
    "words": {"type": "toy_head"},
}
MASKS = {
    "dropped": {"type": "random_patches", "ratio": 0.6, "fill": "drop"},
    "replaced": {"type": "random_patches", "ratio": 0.4, "fill": "token"},
    "greyed": {"type": "random_patches", "ratio": 0.5, "fill": "pixels"},
    "hidden_words": {"type": "random_tokens", "ratio": 0.4, "fill": "mask", "draw": "with_replacement"},
    "noisy_words": {"type": "random_tokens", "ratio": 0.4, "fill": "bert"},
}
WITH_DROPOUT = ("toy_vision", "toy_text", "toy_fusion", "toy_decoder")
PAIRINGS = {"others": {"type": "random_negatives"}}
BALANCED = {"itc": {}, "near": {"type": "itc", "group": 4}, "mlm": {"mask": "noisy_words"}}
ROWS = 8
MADE = ("registry", "recipe", "resolved", "data_module")
"""What a toy makes of itself."""


class _Brought:
    """Classes handed over directly, as a local plug-in file would bring them."""

    def __init__(self, components: Mapping[str, type]):
        self.components = components

    @hookimpl
    def vlobj_components(self) -> Mapping[str, type]:
        return self.components


@dataclass(frozen=True, eq=False)
class Toy:
    """A recipe in which everything that is not given is a toy.

    Attributes:
        objectives: Objectives by name, with options as in a recipe; `type` where it differs from the name.
        masks: Masks beside `dropped`, `replaced`, `greyed` (pictures), `hidden_words`, `noisy_words` (texts).
        pairings: Pairings beside `others` (random negatives).
        model: Parts beside or instead of `vision`, `text`, `fusion`, `decoder`, `joint`, `words`; None takes one out.
        fields: Fields beside or instead of `caption`, which reads the toy's words; None takes it out.
        balance: The balancer by its name; without `objectives` it weighs three of them.
        evaluate: Evaluations, as in a recipe.
        trackers: Trackers, as in a recipe.
        inputs: Inputs, as in a recipe.
        plan: The plan's keys, as in a recipe.
        data: Options of the toy source: `frames`, `pictures`, `words`, `size`, `second` (see ToyPairs); with `type` the
            options of another source.
        plugins: Local plug-in files; what is installed is found anyway.
        components: `kind:name` -> class, for classes that no plug-in names yet.
        rows: Pairs of a step, and the pairings' groups; the objectives' groups where a check needs one.
        dropout: Dropout of the toy parts, from 0 to 1.
        seed: The recipe's seed.
    """

    objectives: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    masks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pairings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    balance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    evaluate: Mapping[str, Any] = field(default_factory=dict)
    trackers: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    plan: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    plugins: Sequence[str | Path] = ()
    components: Mapping[str, type] = field(default_factory=dict)
    rows: int = ROWS
    dropout: float = 0.0
    seed: int = 0

    def changed(self, **changes: Any) -> "Toy":
        """Return the same toy with other attributes; with the same plug-ins, these are not looked for again."""
        other = replace(self, **changes)
        if not {"plugins", "components"} & changes.keys():
            other.__dict__["registry"] = self.registry
        return other

    def with_data(self, **options: Any) -> "Toy":
        """Return the same toy with further options of its source."""
        return self.changed(data={**self.data, **options})

    def grouped(self, name: str, group: int | str) -> "Toy":
        """Return the same toy in which an objective sees so many rows together.

        Args:
            name: Name of the objective.
            group: Consecutive rows that it sees, or "all"; a number becomes the pairings' group too.
        """
        objectives = {**self.objectives, name: {**self.objectives[name], "group": group}}
        if group == "all":
            return self.changed(objectives=objectives)
        pairings = {key: {**entry, "group": group} for key, entry in {**PAIRINGS, **self.pairings}.items()}
        return self.changed(objectives=objectives, pairings=pairings)

    @cached_property
    def registry(self) -> Registry:
        """The plug-ins: installed ones, the toys, and those of `plugins` and `components`."""
        registry = Registry()
        for path in (Path(__file__).with_name("toy_plugin.py"), *self.plugins):
            registry.add_file(path)
        if self.components:
            registry.watch(_Brought(self.components), "toy")
        return registry

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe, in which toys stand for what is not given."""
        dropping = {"dropout": self.dropout} if self.dropout else {}
        model = {
            name: {**entry, **(dropping if entry.get("type") in WITH_DROPOUT else {})}
            for name, entry in {**MODEL, **self.model}.items()
            if entry is not None
        }
        fields = {"caption": {"type": "toy_words"}, **self.fields}
        return Recipe.model_validate_json(
            json.dumps(
                prepared(
                    {
                        "seed": self.seed,
                        "data": {"type": "toy_pairs", "batch": self.rows, **self.data},
                        "fields": {name: entry for name, entry in fields.items() if entry is not None},
                        "model": model,
                        "inputs": dict(self.inputs),
                        "masks": {**MASKS, **self.masks},
                        "pairings": {**PAIRINGS, **self.pairings},
                        "objectives": self.objectives or (BALANCED if self.balance else {"itc": {}}),
                        "balance": next(({"type": name} | dict(one) for name, one in self.balance.items()), None),
                        "optim": {"lr": 1e-3, "clip": None},
                        "run": {"steps": 4},
                        "plan": dict(self.plan),
                        "evaluate": dict(self.evaluate),
                        "trackers": dict(self.trackers),
                    }
                )
            ),
            strict=True,
        )

    @cached_property
    def resolved(self) -> Resolved:
        """The recipe with the classes and options of its plug-ins."""
        return typed(Loaded(self.recipe, Layered(), Path("toy.yaml")), self.registry)

    @cached_property
    def data_module(self) -> DataModule:
        """The recipe's source and its fitted readers."""
        return build_data(self.resolved)

    def system(self, train: bool = False) -> System:
        """Build a system in float64; its first weights hang on the seed, so they are always the same.

        Args:
            train: Whether it is in training mode; else it is in eval mode.
        """
        return assemble.system(self.resolved, self.data_module).double().train(train)

    def batch(self, rows: int | None = None, first: int = 0, dtype: torch.dtype = torch.float64) -> Batch:
        """Make a batch of the training split, as encoders get it.

        Args:
            rows: Number of samples, by default a step's.
            first: Number of the first; the others follow on it.
            dtype: Type of its floats.
        """
        numbers = range(first, first + (rows or self.rows))
        drawn = (self.data_module.source.sample("train", number, 0, self.seed) for number in numbers)
        samples = [sample for sample in drawn if isinstance(sample, Sample)]
        batch = self.data_module.fields.normalised(self.data_module.fields.batch(samples, numbers))
        return batch.map(lambda x: x.to(dtype) if x.is_floating_point() else x)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what was made of it: worker processes make their own."""
        return {key: value for key, value in self.__dict__.items() if key not in MADE}
