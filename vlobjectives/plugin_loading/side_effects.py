"""Keeps what a plug-in's code does to the process as a whole away from everybody else, and names it.

Imported, constructed or called, a plug-in may set a default dtype, seed generators, change the working folder, take a
signal. What `STATES` lists is then put back. What a person may mean for the whole run is left as it is: environment,
deterministic algorithms, precision of products, `set_detect_anomaly` (which the checks go without).
"""

import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from vlobjectives.errors import Passing, PluginWarning
from vlobjectives.plugin_loading.printed import limited

SIGNALS = tuple(map(int, signal.valid_signals() - {getattr(signal, "SIGCHLD", None)}))
"""All but SIGCHLD, which torch's loaders take for good."""


class Foreign(RuntimeError):
    """A plug-in raised what would end the process: SystemExit, or a BaseException of its own."""


@dataclass(frozen=True)
class State:
    """Something of the process as a whole. `get` gives None where there is nothing to see yet.

    usual  what it is where a plug-in is the first to import what holds it; None: whatever it is then
    drawn  first weights draw from it, which is no fault of a constructor
    """

    what: str
    get: Callable[[], Any]
    put: Callable[[Any], None]
    same: Callable[[Any, Any], bool] = lambda one, other: one == other
    usual: Callable[[], Any] = lambda: None
    drawn: bool = False


def _of(name: str, ask: Callable[[Any], Any]) -> Callable[[], Any]:
    """Asks a module, if it has been imported."""
    return lambda: None if sys.modules.get(name) is None else ask(sys.modules[name])


def _torch() -> Any:
    return sys.modules["torch"]


def _device(torch: Any) -> str:
    """The device that was made everybody's default, not that of a `with torch.device(...)`."""
    context = getattr(getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None), "device_context", None)
    return "" if context is None else str(context.device)


def _folder() -> str | None:
    with suppress(OSError):  # somebody removed it
        return os.getcwd()
    return None


def _handlers() -> dict[int, Any] | None:
    if threading.current_thread() is threading.main_thread():  # others may not set any
        return {number: signal.getsignal(number) for number in SIGNALS}
    return None


def _put_handlers(was: dict[int, Any]) -> None:
    for number, handler in was.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


def _blanket() -> list[Any]:
    """Filters that mean all warnings."""
    return [one for one in warnings.filters if one[1] is None and one[2] is Warning and one[3] is None]


def _put_blanket(was: list[Any]) -> None:
    now = _blanket()
    kept = [one for one in warnings.filters if one not in now or one in was]
    warnings.resetwarnings()
    warnings.filters[:] = kept  # type: ignore[index]  # it is a list, typeshed promises a sequence


def _put_locale(was: str) -> None:
    locale.setlocale(locale.LC_ALL, was)


def _put_path(was: list[str]) -> None:
    """What was put in front would shadow what everybody imports: it is looked in last."""
    sys.path[:] = [*was, *(one for one in sys.path if one not in was)]


def _put_device(was: str) -> None:
    torch = _torch()
    torch.set_default_device(was or None)
    context = getattr(torch, "_GLOBAL_DEVICE_CONTEXT", None)
    if not was and context is not None and hasattr(context, "device_context"):
        del context.device_context  # as it was; torch 2.6 would ask None which device it is


def _put_streams(was: tuple[Any, Any]) -> None:
    sys.stdout, sys.stderr = was


STATES = (
    State(
        "the default dtype",
        _of("torch", lambda torch: torch.get_default_dtype()),
        lambda was: _torch().set_default_dtype(was),
        usual=lambda: _torch().float32,
    ),
    State("the default device", _of("torch", _device), _put_device, usual=lambda: ""),
    State(
        "whether gradients are computed",
        _of("torch", lambda torch: torch.is_grad_enabled()),
        lambda was: _torch().set_grad_enabled(was),
        usual=lambda: True,
    ),
    State(
        "torch's random state",
        _of("torch", lambda torch: torch.get_rng_state()),
        lambda was: _torch().set_rng_state(was),
        same=lambda one, other: _torch().equal(one, other),
        drawn=True,
    ),
    State(
        "the number of threads",
        _of("torch", lambda torch: torch.get_num_threads()),
        lambda was: _torch().set_num_threads(was),
    ),
    State(
        "numpy's random state",
        _of("numpy", lambda numpy: numpy.random.get_state()),
        lambda was: sys.modules["numpy"].random.set_state(was),
        same=lambda one, other: one[2:] == other[2:] and (one[1] == other[1]).all(),
    ),
    State("Python's random state", random.getstate, random.setstate),
    State("the working folder", _folder, os.chdir),
    State("signal handlers", _handlers, _put_handlers),
    State("the locale", lambda: locale.setlocale(locale.LC_ALL), _put_locale),
    State("the filters of warnings", _blanket, _put_blanket),
    State("the front of sys.path", lambda: list(sys.path), _put_path, same=lambda one, other: other[: len(one)] == one),
    State("stdout or stderr", lambda: (sys.stdout, sys.stderr), _put_streams),
)


@contextmanager
def contained(
    who: str, tell: Callable[[str], None] | None = None, draws: bool = False, watches: bool = False
) -> Iterator[None]:
    """Runs a plug-in's code: afterwards the process is as it was, and `tell` (by default a PluginWarning) is told of
    what was not.

    draws    first weights are drawn inside
    watches  a hook of a run: what it prints is output; of other code it goes to stderr, so that `--json` stays JSON
    What would end the process, and a print without end, is raised as Foreign; Ctrl-C and a signal that stops the run
    pass.
    """
    before = [(state, state.get()) for state in STATES if not (draws and state.drawn)]
    try:
        with limited(stdout_too=watches):
            yield
    except (Exception, KeyboardInterrupt, GeneratorExit, Passing):
        raise
    except BaseException as error:
        text = " ".join(str(error).split())
        raise Foreign(f"{type(error).__name__}{f': {text}' if text else ''}").with_traceback(
            error.__traceback__
        ) from error
    finally:
        if changed := [state.what for state, was in before if _put_back(state, was)]:
            (tell or _warn)(f"{who} changed {', '.join(changed)}, which was put back")


def _put_back(state: State, was: Any) -> bool:
    """Whether it had changed."""
    now = state.get()
    was = state.usual() if was is None and now is not None else was
    if was is None or now is None or state.same(was, now):
        return False
    with suppress(OSError, ValueError):  # a folder that is gone
        state.put(was)
    return True


def _warn(text: str) -> None:
    warnings.warn(PluginWarning(text), stacklevel=4)
