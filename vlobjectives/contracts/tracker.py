"""Trackers: what watches a run and records it somewhere."""

from typing import ClassVar

from vlobjectives.contracts.config import TrackerConfig
from vlobjectives.contracts.configured import Configured


class Tracker(Configured):
    """A watcher of runs with options of its own, which a recipe names under `trackers`.

    Its methods are the hooks of a run that it wants (`vlobjectives.contracts.hooks.Hooks`), each marked with
    `hookimpl`. The host makes one for a run, in the first process alone, before `vlobj_run_started`. A module that
    watches every run and has no options needs no Tracker: its marked functions are called always.

    Example:
        class Lines(Tracker):
            @hookimpl
            def vlobj_step_ended(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
                run.log(f"step {step}: {metrics['loss']:.3f}")
    """

    Config: type[TrackerConfig] = TrackerConfig
    paper: ClassVar[str] = ""

    def __init__(self, config: TrackerConfig):
        self.config = config
