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

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pluggy

PROJECT = "vlobjectives"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Hooks:
    """What can be implemented. A hook of a run that raises is switched off with a warning; the run goes on."""

    @hookspec
    def vlobj_components(self) -> Mapping[str, str | type]:
        """Names the components of this plug-in.

        Returns `kind:name` -> `module:Class`, imported only when a recipe asks for it; a local file may give the
        class itself. Kinds: objective, mask, pairing, encoder, fusion, decoder, projection, head, reader, source,
        evaluation, tracker.
        """
        raise NotImplementedError

    @hookspec
    def vlobj_run_started(self, run: Any) -> None:
        """The run folder exists and the model is built; nothing has been trained since this start (or resume)."""

    @hookspec
    def vlobj_step_ended(self, run: Any, step: int, metrics: Mapping[str, float]) -> None:
        """Step `step` (the first is 0) was logged with these metrics (`objective/term`, `lr`, ...)."""

    @hookspec
    def vlobj_evaluated(self, run: Any, step: int, scores: Mapping[str, Any]) -> None:
        """An evaluation after `step` steps gave these scores: flat name -> Score(value, chance, low, high, n)."""

    @hookspec
    def vlobj_checkpoint_saved(self, run: Any, folder: Path) -> None:
        """A checkpoint lies complete and synced in `folder`."""

    @hookspec
    def vlobj_run_ended(self, run: Any, summary: Mapping[str, Any]) -> None:
        """The run came to its end; `summary` is what summary.json holds. Not called when a run is stopped."""


class Tracker:
    """A watcher of runs with a Config of its own: a component of kind `tracker`.

    Its methods that watch are marked with `hookimpl`; the host makes one of it for a run and registers it
    (`Registry.watch`). A module that only watches needs no Tracker: its marked functions are always called.
    """

    Config: type
    paper = ""
    name = ""

    def __init__(self, config: Any):
        self.config = config
