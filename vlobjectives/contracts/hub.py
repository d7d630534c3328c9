"""The hub that names of weights and tokenizers mean: asked once whether it is there, and not waited for."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from threading import Thread

SECONDS = 3
"""How long the hub has to answer."""


def hub_missing(name: str, files: Iterable[str]) -> str:
    """Say why none of some files of a repository can be had.

    Args:
        name: The repository on the hub.
        files: Names of files, of which one is enough.

    Returns:
        The reason; "" where one of them lies here or the hub answers.
    """
    from huggingface_hub import try_to_load_from_cache

    if any(isinstance(try_to_load_from_cache(name, file), str) for file in files):
        return ""
    silent = _silent()
    return silent and f"'{name}' was never fetched to this machine, and {silent}"


@contextmanager
def hub_asked() -> Iterator[None]:
    """Inside, clients of a hub that does not answer take what was fetched before, at once.

    Else they try again and again for a minute.
    """
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = bool(_silent())
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _silent() -> str:
    """Why the hub is not asked, or gives no answer; "" where it answers."""
    from huggingface_hub import constants

    return "HF_HUB_OFFLINE forbids to ask the hub" if constants.is_offline_mode() else _unreachable(constants.ENDPOINT)


@cache
def _unreachable(endpoint: str) -> str:
    """Asked beside this thread, since looking up a name may take longer than any time limit of a request."""
    answers: list[int] = []

    def ask() -> None:
        from huggingface_hub import get_session

        try:
            answers.append(get_session().head(endpoint, timeout=SECONDS).status_code)
        except Exception:  # whatever the client raises: no route, no name, no answer in time
            return

    asking = Thread(target=ask, daemon=True)
    asking.start()
    asking.join(SECONDS)
    if answers and (answers[0] >= 500 or answers[0] == 407):  # a proxy's, or of a hub that is down
        return f"{endpoint} answers with error {answers[0]}"
    return "" if answers else f"{endpoint} does not answer"
