"""An objective that is watched while it computes: what no loss may do is stopped at the author's line.

What writes into given tensors or draws torch's random numbers is seen where torch runs an operator, what talks to other
processes where Python calls a function. So one cause is one message, whichever check comes upon it first.
"""

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._python_dispatch import TorchDispatchMode

from vlobjectives.contracts.objective import Objective
from vlobjectives.errors import Place
from vlobjectives.functional.all_gather import all_gather_with_grad
from vlobjectives.plugin_loading.attribution import files_of
from vlobjectives.system.system import System
from vlobjectives.testing.check import CheckFailed, tensors
from vlobjectives.testing.companions import alone
from vlobjectives.testing.toys import Toy

TORCH = torch.__file__.rpartition("__init__")[0]
DISTRIBUTED = torch.distributed.__file__.rpartition("__init__")[0]
DICE = getattr(random.random, "__self__", None)
"""The generator behind `random.random()`."""
CALLED = "/torch/nn/modules/module.py"
"""Where torch calls a module's `forward`."""
GATHER = (
    "take the `gather` that forward is given and write the loss as for one process: it gathers with the gradient that "
    "the recipe asks for, and hands back what it is given on one process and where `group` says so"
)
NOISE = "take `noise` in forward: noise('name', ...) gives each sample its own numbers, the same on any process"
OUT_OF_PLACE = "write x = x.masked_fill(...) and not x.masked_fill_(...) or x[...] = ...; others read the same tensors"

NORM = (
    "take a LayerNorm, which looks at one row; or give it the rows of all processes, norm(gather(x)), with "
    "track_running_stats=False"
)
AFTER_STEP = (
    "write buffers in after_step alone, which is called once a step with the rows of all micro-batches and processes: "
    "forward returns them beside its terms as StepRows(rows) or StepSum(total, count)"
)


class Watch:
    """What an objective was seen to do.

    used  what operators of its forward read, see `key_of`
    """

    def __init__(self, objective: Objective):
        self.files, self.used = files_of(objective), set[tuple[Any, ...]]()
        self.objective = objective
        self.given: dict[int, str] = {}
        self.buffers: dict[int, str] = {}
        self.versions: list[tuple[str, Tensor, int]] = []
        self._open: list[ExitStack] = []
        objective.register_forward_pre_hook(self._enter, with_kwargs=True)
        objective.register_forward_hook(self._leave, with_kwargs=True, always_call=True)

    def place(self) -> Place | None:
        """The author's line that is being run."""
        return line_of_frame(sys._getframe(1), self.files)

    def _enter(self, objective: Any, args: Any, given: Mapping[str, Any]) -> None:
        handed = {key: value for key, value in given.items() if not isinstance(value, nn.Module)}
        self.versions = [(place, x, x._version) for place, x in tensors(handed)]
        self.given = {x.untyped_storage()._cdata: place for place, x, _ in self.versions}
        self.dice = _numpy_state()
        self.buffers = {x.untyped_storage()._cdata: key for key, x in objective.named_buffers()}
        with ExitStack() as stack:
            stack.enter_context(_Operators(self))
            stack.enter_context(_calls(self))
            self._open.append(stack.pop_all())

    def _leave(self, objective: Any, args: Any, given: Any, terms: Any) -> None:
        self._open.pop().close()
        if terms is None:  # an error is on its way
            return
        if self.dice != _numpy_state():
            raise CheckFailed("it draws numpy's random numbers", NOISE, None, "same_seed_same_value")
        for place, x, version in self.versions:
            if x._version != version:  # by an operator that does not say what it writes
                raise CheckFailed(f"it writes into {place}, which others read", OUT_OF_PLACE, None, "batch_read_only")

    def refuse_writing(self, storage: int) -> None:
        """Raises CheckFailed where something is written into that is given, or into a buffer."""
        if name := self.given.get(storage):
            what = f"it writes into {name}, which others read"
            raise CheckFailed(what, OUT_OF_PLACE, self.place(), "batch_read_only")
        if name := self.buffers.get(storage):
            of = name.rpartition(".")[0]
            module = self.objective.get_submodule(of)
            if isinstance(module, _BatchNorm):
                raise CheckFailed(batch_norm(of, module), NORM, self.place(), "ranks_equal_one")
            raise CheckFailed(f"forward writes the buffer '{name}'", AFTER_STEP, self.place(), "state_in_buffers")


def batch_norm(name: str, module: nn.Module) -> str:
    """What is wrong with normalising over the rows of a batch."""
    kind = type(module).__name__
    return (
        f"its module '{name}' is a {kind}, which in training normalises by the rows of its own process and micro-batch"
    )


def watched(toy: Toy, name: str, train: bool = False) -> System:
    """The toy's system of this one objective, which is watched; without dropout of its own."""
    system = alone(toy, name).system(train)
    watch(system, name)
    return system


def watch(system: System, name: str) -> Watch:
    import torch._dynamo  # torch would import it within some operator of the loss, watched line by line  # noqa: F401

    return Watch(without_dropout(system, name).objectives[name])


def without_dropout(system: System, name: str) -> System:
    """The system, in which the objective's own dropout drops nothing: that may differ over processes."""
    for module in system.objectives[name].modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0
    return system


def line_of_frame(frame: FrameType | None, files: tuple[str, ...]) -> Place | None:
    """The innermost line of these files among the callers of a frame."""
    while frame is not None:
        if frame.f_code.co_filename in files:
            return Place(frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch gives it no types
    """Sees each operator that torch runs."""

    def __init__(self, watch: Watch):
        super().__init__()  # type: ignore[no-untyped-call]
        self.watch = watch

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, watch = kwargs or {}, self.watch
        values = list(args) + list(kwargs.values())
        for place in _writes(func):
            written = args[place] if place < len(args) else None
            if isinstance(written, Tensor):
                watch.refuse_writing(written.untyped_storage()._cdata)
        watch.used.update(key_of(x) for _, x in tensors(values))
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        before = torch.get_rng_state()
        result = func(*args, **kwargs)
        if not torch.equal(before, torch.get_rng_state()):  # attention draws where it has dropout, a generator its own
            what = f"it draws torch's random numbers ({func._schema.name.rpartition('::')[2]})"
            raise CheckFailed(what, NOISE, watch.place(), "same_seed_same_value")
        return result


def key_of(x: Tensor) -> tuple[Any, ...]:
    """What of which storage a tensor shows: class tokens and positions are pieces of one."""
    return x.untyped_storage()._cdata, x.storage_offset(), tuple(x.shape)


@cache
def _writes(func: Any) -> tuple[int, ...]:
    """The places of the arguments that an operator writes into."""
    arguments = func._schema.arguments
    return tuple(n for n, each in enumerate(arguments) if each.alias_info is not None and each.alias_info.is_write)


@contextmanager
def _calls(watch: Watch) -> Iterator[None]:
    """Sees each function of Python that is called: those of `torch.distributed` and the public gather are stopped."""
    before = sys.getprofile()

    def seen(frame: FrameType, event: str, arg: Any) -> None:
        if event == "call" and (what := _talk(frame)):
            sys.setprofile(before)
            raise CheckFailed(
                f"it calls {what} itself", GATHER, line_of_frame(frame.f_back, watch.files), "own_messages"
            )
        if event == "c_call" and getattr(arg, "__self__", None) is DICE:
            sys.setprofile(before)
            what = f"it draws Python's random numbers ({arg.__name__})"
            raise CheckFailed(what, NOISE, line_of_frame(frame, watch.files), "same_seed_same_value")

    sys.setprofile(seen)
    try:
        yield
    finally:
        sys.setprofile(before)


def _talk(frame: FrameType) -> str:
    """What of `torch.distributed`, or the public gather, is called here by code that is not torch's; "" for none."""
    code, caller = frame.f_code, frame.f_back
    if code is all_gather_with_grad.__code__:
        return "functional.all_gather_with_grad"
    if not code.co_filename.startswith(DISTRIBUTED) or caller is None or caller.f_code.co_filename.startswith(TORCH):
        return ""
    while caller is not None and not caller.f_code.co_filename.endswith(CALLED):
        if caller.f_code.co_name == "<module>" or caller.f_code.co_filename.startswith("<frozen importlib"):
            return ""  # torch looks for modules of its own when they are imported, and some are imported when needed
        caller = caller.f_back
    return f"torch.distributed.{getattr(frame.f_locals.get('func'), '__name__', code.co_name)}"


def _numpy_state() -> tuple[Any, ...]:
    """What numpy's common generator would draw next, in few numbers: where it stands, and what is there."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return ()
    kind, keys, place, *rest = numpy.random.get_state()
    return (kind, place, int(keys[0]), *rest)


@contextmanager
def random_states_kept(seed: int | None = None) -> Iterator[None]:
    """Puts back torch's and Python's random states; inside they are seeded, numpy's too where it is there."""
    numpy: Any = sys.modules.get("numpy")
    states = random.getstate(), numpy and numpy.random.get_state()
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
            random.seed(seed)
            if numpy:
                numpy.random.seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            if numpy:
                numpy.random.set_state(states[1])


Change = Callable[[dict[str, Any]], dict[str, Any]]


def exchanging(system: System, name: str, change: Change) -> None:
    """Has the objective get by keyword what `change` makes of what the host gives."""
    system.objectives[name].register_forward_pre_hook(
        lambda _, args, given: (args, change(dict(given))), with_kwargs=True, prepend=True
    )
