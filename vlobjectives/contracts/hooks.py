"""The hooks that a plug-in implements: one that names its components, five that watch a run.

A plug-in is a module (or object) found through an entry point of the group `vlobjectives`, or a Python file that a
recipe names under `plugins`. It marks its functions with `hookimpl` and takes only the arguments that it wants:

    from vlobjectives import hookimpl

    @hookimpl
    def vlobj_components():
        return {"objective:mgsc": "vlobj_glscl.mgsc:MGSC"}

Such a module should import nothing heavy: it is imported by every command, `vlobj --help` aside. It may say
`VLOBJ_API = 2`, the version of these hooks and contracts that it was written for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:  # it brings torch
    from vlobjectives.contracts.evaluation import Score

PROJECT = "vlobjectives"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True)
class Run:
    """A run as its hooks see it: what may be read, and `log`.

    A test of your own hooks makes one of a folder alone.

    Attributes:
        folder: The run folder. Files of your own may lie in it, in a folder of your own beside the run's.
        name: The run's name: `run.name` of the recipe, or the folder's.
        recipe: The resolved recipe as plain data: nested dicts, lists, numbers and texts, defaults written out.
        steps: Optimiser steps that the run will have in all.
        start: Steps that lay behind it when it was started or resumed.
        device: The device of this process, such as `cpu` or `cuda:0`.
        precision: Precision of the passes: fp32, bf16 or fp16.
        rank: Number of this process, from 0.
        processes: How many there are.
        log: Writes a line to the terminal and to the run's log.txt.
    """

    folder: Path
    name: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 0
    start: int = 0
    device: str = "cpu"
    precision: str = "fp32"
    rank: int = 0
    processes: int = 1
    log: Callable[[str], None] = print


class Hooks:
    """The hooks that a plug-in can implement.

    A hook of a run that raises is switched off with a warning; the run goes on. Runs write in the first process alone,
    so that it alone calls the hooks of a run, but for `vlobj_run_started`, which a plug-in module gets in every process
    (`run.rank`). What hooks return is not looked at.
    """

    @hookspec
    def vlobj_components(self) -> Mapping[str, str | type]:
        """Name the components of this plug-in.

        Returns:
            `kind:name` -> `module:Class`, imported only when a recipe asks for it; a local file may give the class
            itself. The kinds are those that `vlobj plugins` lists.
        """
        raise NotImplementedError

    @hookspec
    def vlobj_run_started(self, run: Run) -> None:
        """The run folder exists and the model is built; nothing has been trained since this start (or resume).

        Args:
            run: The run; `run.start` steps of it were trained before.
        """

    @hookspec
    def vlobj_step_ended(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        """A step was logged: with `run.log.steps: 1` each one, else every so many and the last.

        Args:
            run: The run.
            step: The step's number; the first is 0.
            metrics: What metrics.jsonl holds of it: `objective/term`, `loss`, `lr`, `samples_per_second`, ...;
                `balance` and `conflict` where the recipe asks for them.
        """

    @hookspec
    def vlobj_evaluated(self, run: Run, step: int, scores: "Mapping[str, Score]") -> None:
        """An evaluation ended.

        Args:
            run: The run.
            step: How many steps were trained before it.
            scores: `evaluation/split/name` -> Score(value, chance, low, high, n, per_cent).
        """

    @hookspec
    def vlobj_checkpoint_saved(self, run: Run, folder: Path) -> None:
        """A checkpoint lies complete and synced.

        Args:
            run: The run.
            folder: The checkpoint's folder; older ones are removed as `run.checkpoint.keep` says.
        """

    @hookspec
    def vlobj_run_ended(self, run: Run, summary: Mapping[str, Any]) -> None:
        """The run came to its end. It is not called when a run is stopped or fails.

        Args:
            run: The run.
            summary: What summary.json holds: the last scores, each with value, chance level and interval; under
                `unusable` the samples of each split that could not be read, if there are any.
        """


def __getattr__(name: str) -> Any:
    if name == "Tracker":  # where it was in 0.1 and 0.2
        from vlobjectives.deprecated import attribute

        return attribute(__name__, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
