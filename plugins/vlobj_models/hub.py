"""Whether the weights that a hub's name stands for can be had: they were fetched before, or the hub can be asked."""

from collections.abc import Iterable
from functools import cache

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.utils import get_session

SECONDS = 3
"""How long the hub has to answer."""


def missing(name: str, files: Iterable[str]) -> str:
    """Why none of these files of the repository `name` can be had; "" where one lies here or the hub answers."""
    if any(isinstance(try_to_load_from_cache(name, file), str) for file in files):
        return ""
    silent = _silent()
    return silent and f"'{name}' was never fetched to this machine, and {silent}"


def _silent() -> str:
    """Why the hub is not asked, or gives no answer; "" where it answers."""
    return "HF_HUB_OFFLINE forbids to ask the hub" if constants.is_offline_mode() else _unreachable(constants.ENDPOINT)


@cache
def _unreachable(endpoint: str) -> str:
    try:
        get_session().head(endpoint, timeout=SECONDS)
    except Exception:  # whatever the client raises: no route, no name, no answer in time, a proxy's refusal
        return f"{endpoint} does not answer"
    return ""
