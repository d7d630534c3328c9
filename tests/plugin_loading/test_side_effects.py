"""What a plug-in does to the process as a whole is put back and named; what would end it is an error of the plug-in."""

import locale
import os
import random
import signal
import sys
import warnings

import numpy
import pytest
import torch
from small_recipes import CONTRAST, changed, plugin, vlobj

from vlobjectives.errors import Passing
from vlobjectives.plugin_loading.side_effects import Foreign, contained
from vlobjectives.registry import Registry

DEEDS = {
    "the default dtype": lambda: torch.set_default_dtype(torch.float64),
    "the default device": lambda: torch.set_default_device("meta"),
    "whether gradients are computed": lambda: torch.set_grad_enabled(False),
    "torch's random state": lambda: torch.manual_seed(7),
    "numpy's random state": lambda: numpy.random.seed(7),
    "Python's random state": lambda: random.seed(7),
    "the number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "the working folder": lambda: os.chdir("/"),
    "signal handlers": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "the locale": lambda: locale.setlocale(
        locale.LC_NUMERIC, "POSIX" if locale.setlocale(locale.LC_NUMERIC) != "C" else "C.UTF-8"
    ),
    "the filters of warnings": lambda: warnings.simplefilter("error"),
    "the front of sys.path": lambda: sys.path.insert(0, "/nowhere"),
    "stdout or stderr": lambda: setattr(sys, "stdout", None),
}


def seen():
    return (
        torch.get_default_dtype(),
        torch.ones(1).device,
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
        numpy.random.get_state()[1].tolist(),
        random.getstate(),
        torch.get_num_threads(),
        os.getcwd(),
        signal.getsignal(signal.SIGTERM),
        locale.setlocale(locale.LC_ALL),
        list(warnings.filters),
        sys.path[0],
        sys.stdout,
    )


@pytest.mark.parametrize("what", DEEDS)
def test_everything_is_put_back_and_named(what, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before, told = seen(), []
    with contained("own.py", told.append):
        DEEDS[what]()
    assert seen() == before
    assert told == [f"own.py changed {what}, which was put back"]


def test_nothing_is_said_of_what_does_nothing():
    told = []
    with contained("own.py", told.append):
        sys.path.append("/at the end")
        os.environ["VLOBJ_A_TEST"] = "1"
    sys.path.remove("/at the end")
    assert told == [] and os.environ.pop("VLOBJ_A_TEST") == "1"


def test_first_weights_may_draw():
    told = []
    with contained("model.own", told.append, draws=True):
        torch.rand(1)
    assert told == []


class Own(BaseException):
    pass


@pytest.mark.parametrize(
    "error, kind",
    [
        (SystemExit(3), Foreign),
        (Own("why"), Foreign),
        (ValueError(), ValueError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (Passing(), Passing),
    ],
)
def test_what_would_end_the_process(error, kind):
    with pytest.raises(kind), contained("own.py", print):
        raise error


PLUGIN = """\
    import sys
    import torch
    from pydantic import field_validator
    from vlobjectives import Objective, ObjectiveConfig, hookimpl
    {top}

    class Own(Objective):
        class Config(ObjectiveConfig):
            number: int = 1

            @field_validator("number")
            @classmethod
            def _seen(cls, number):
                {validator}
                return number

        def __init__(self, config):
            super().__init__(config)
            {constructor}

        def views(self, inputs):
            return {{}}

        def forward(self, batch):
            return {{}}

    @hookimpl
    def vlobj_components():
        {hook}
        return {{"objective:own": Own}}
"""


def recipe(folder, **code):
    plugin(folder, PLUGIN.format(**{"top": "", "validator": "pass", "constructor": "pass", "hook": "pass"} | code))
    return changed(
        folder,
        {"# Small: few objectives.": "plugins: [own.py]", "  itc: {}\n": "  itc: {}\n  own: {number: 2}\n"},
        text=CONTRAST,
    )


@pytest.mark.parametrize("where", ["top", "validator", "constructor", "hook"])
@pytest.mark.parametrize(
    "deed, said", [("sys.exit(3)", "SystemExit: 3"), ("raise type('Own', (BaseException,), {})('why')", "Own: why")]
)
def test_a_plug_in_that_exits_is_an_error_of_it(capsys, tmp_path, where, deed, said):
    ended = vlobj(capsys, "check", recipe(tmp_path, **{where: deed}))
    assert ended.code == 4, ended.err
    assert said in ended.err and "own.py" in ended.err


@pytest.mark.parametrize(
    "kind, base, old, new",
    [
        ("source", "vlobj_data.scenes.scenes Scenes", "type: scenes", "type: own"),
        ("reader", "vlobj_data.byte_pair BytePair", "type: byte_pair", "type: own"),
        (
            "mask",
            "vlobj_common.masks.random_patches RandomPatches",
            "dropped: {type: random_patches",
            "dropped: {type: own",
        ),
    ],
)
def test_a_constructor_that_exits_is_an_error_of_its_plug_in(capsys, tmp_path, kind, base, old, new):
    module, name = base.split()
    plugin(
        tmp_path,
        f"""\
        import sys
        from {module} import {name}
        from vlobjectives import hookimpl

        class Own({name}):
            def __init__(self, *given, **named):
                sys.exit(3)

        @hookimpl
        def vlobj_components():
            return {{"{kind}:own": Own}}
        """,
    )
    changes = {"# Small: few objectives.": "plugins: [own.py]", old: new}
    ended = vlobj(capsys, "check", changed(tmp_path, changes, text=CONTRAST))
    assert ended.code == 4, ended.err
    assert "SystemExit: 3" in ended.err and "own.py:7" in ended.err


def test_check_names_what_a_file_did(capsys, tmp_path):
    path = recipe(tmp_path, top="torch.set_default_dtype(torch.float64)")
    ended = vlobj(capsys, "check", path)
    assert "changed the default dtype, which was put back" in ended.out
    assert torch.get_default_dtype() == torch.float32


def test_a_class_that_is_constructed_is_contained(capsys, tmp_path):
    path = recipe(tmp_path, constructor="torch.set_grad_enabled(False)")
    with pytest.warns(RuntimeWarning, match=r"objectives\.own changed whether gradients are computed"):
        vlobj(capsys, "check", path)
    assert torch.is_grad_enabled()


def test_a_hook_of_a_run_that_exits_is_switched_off(tmp_path):
    path = plugin(
        tmp_path,
        """\
        import sys
        from vlobjectives import hookimpl

        @hookimpl
        def vlobj_step_ended(step):
            sys.exit(step)
        """,
    )
    registry = Registry()
    registry.add_file(path)
    with pytest.warns(RuntimeWarning, match=rf"{path}:6  plug-in .* is switched off .* SystemExit: 5"):
        registry.call_safely("vlobj_step_ended", run=None, step=5, metrics={})


def test_checks_go_without_anomaly_detection(capsys, tmp_path):
    """A run, which follows in the same process, goes with it."""
    try:
        ended = vlobj(
            capsys,
            "check",
            recipe(tmp_path, top="torch.autograd.set_detect_anomaly(True)"),
            "objectives.own.weight=0",
            "evaluate={losses: false}",
        )
        assert ended.code == 0, ended.err
        assert torch.is_anomaly_enabled()
    finally:
        torch.autograd.set_detect_anomaly(False)
