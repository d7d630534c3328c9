"""Random states of a process: set, put back, and told apart."""

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from vlobjectives.data.differences import difference
from vlobjectives.testing.check import CheckFailed


@contextmanager
def random_state(seed: int) -> Iterator[None]:
    """Random states of torch, NumPy and Python set by a seed, and put back afterwards."""
    before = random_states()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before["torch"])
        np.random.set_state(before["NumPy"])
        random.setstate(before["Python"])


def random_states() -> dict[str, Any]:
    """The random states of this process, by whose they are."""
    return {"torch": torch.get_rng_state(), "NumPy": np.random.get_state(), "Python": random.getstate()}


@contextmanager
def states_kept(what: str, hint: str) -> Iterator[None]:
    """Raises CheckFailed where a random state of the process is not what it was: `what` moved it."""
    with random_state(4):  # one that nothing else would set
        before = copy.deepcopy(random_states())
        yield
        moved = [whose for whose, state in random_states().items() if difference(before[whose], state)]
    if moved:
        raise CheckFailed(f"{what} moves {moved[0]}'s random state, which is the run's", hint)
