"""What is wrong with a plug-in's class, said while Python makes it: at its author's line, before any recipe is read."""

import sys
from collections.abc import Collection, Iterable
from difflib import get_close_matches
from types import FrameType
from typing import Any

from vlobjectives.errors import Place, PluginError

INNER = ("vlobjectives.contracts", "pydantic", "dataclasses", "abc")
"""Modules whose lines are not the author's."""
NEAR = 0.76
"""How alike two words are of which one is taken for the other misspelt."""


def author_line() -> Place | None:
    """The line outside of this package that is being run: of a class statement, or of a call inside of a class."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(INNER):
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno) if frame is not None else None


def derived(cls: type, wanted: type) -> None:
    """Raises PluginError where a class's Config does not derive the Config of its kind."""
    config: Any = vars(cls)["Config"]
    if not (isinstance(config, type) and issubclass(config, wanted)):
        what = f"a class of {config.__bases__[0].__name__}" if isinstance(config, type) else repr(config)
        raise PluginError(
            f"the Config of {cls.__qualname__} is {what}, and must derive {wanted.__name__}",
            f"write class Config({wanted.__name__})",
            author_line(),
        )


def free_of(cls: type, keys: Iterable[str], taken: Collection[str]) -> None:
    """Raises PluginError where a Config has a field of a name that the host keeps for itself."""
    if own := [key for key in keys if key in taken]:
        raise PluginError(
            f"{cls.__qualname__} has a field `{'`, `'.join(own)}`, which is the host's key and would never be given",
            f"call it otherwise; the host's keys here are {', '.join(sorted(taken))}",
            author_line(),
        )


class MissingName(PluginError, KeyError):
    """A plug-in asked for a name that is not there."""


def missing(what: str, name: Any, there: Iterable[Any]) -> MissingName:
    """What a plug-in asked for by a name that is not there, at its line, with the names that are."""
    names = [str(one) for one in there]
    near = get_close_matches(str(name), names, 1)
    return MissingName(
        f"there is no {what} '{name}'" + (f": did you mean '{near[0]}'?" if near else ""),
        f"there is {', '.join(names)}" if names else "there is none at all",
        author_line(),
    )


def known_words(what: str, words: Any, known: Collection[str], own: bool = False) -> None:
    """Raises PluginError where something that must be a set of known words is none.

    own  words beside the known ones may stand there too (what a third party made up), as long as they are not such that
         a known one is meant
    """
    if not isinstance(words, Collection) or isinstance(words, str) or not all(isinstance(one, str) for one in words):
        raise PluginError(f"{what} is {words!r}, and it must be a set of words", 'frozenset({"..."})', author_line())
    for word in sorted(set(words) - set(known)):
        near = get_close_matches(word, known, 1, NEAR if own else 0.5)
        if near or not own:
            raise PluginError(
                f"{what} holds '{word}', which nothing knows" + (f": did you mean '{near[0]}'?" if near else ""),
                f"known words are {', '.join(sorted(known))}",
                author_line(),
            )
