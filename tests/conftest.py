"""What must be so before any test of this process."""

import atexit
import gc
import os
import shutil
import socket
import tempfile

import pytest
import torch
from hypothesis import HealthCheck, settings

# What is imported stays: neither while it is, nor in any collection later, need it be looked through.
gc.disable()

# A busy machine is slow, which says nothing about the code: no test fails for the time that it took.
settings.register_profile("vlobjectives", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vlobjectives")

# Tests of runs fork this process. torch starts its backward threads, which no fork survives, at the first backward pass
# if it sees any device but the CPU then, a fake one of some test included: so the first one is here.
torch.ones(1, requires_grad=True).sum().backward()

# Runs of tests record which plug-in files are trusted: not in the home of whoever runs the tests.
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="vlobj-state-")
atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)


@pytest.fixture
def port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
