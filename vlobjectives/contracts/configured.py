"""What every kind of plug-in shares: a Config class, and an instance of it as `self.config`."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from vlobjectives.contracts import definition
from vlobjectives.contracts.config import Config

C = TypeVar("C", covariant=True)


class _HasConfig(Protocol[C]):
    @property
    def Config(self) -> Callable[..., C]: ...


class Configured:
    """Base of all kinds of plug-ins. A type checker takes `self.config` for an instance of the plug-in's own Config.

    The Config may be a class inside of the plug-in's or beside it (`Config = MyConfig`); there is no parameter to give.
    What is wrong with a class is said when it is made: PluginError at its line.
    """

    WORDS: ClassVar[Mapping[str, frozenset[str]]] = {}
    """Attribute that holds a set of words (`can`, `needs`) -> the words that the host knows."""
    OWN_WORDS: ClassVar[bool] = True
    """Whether there may be others: what a source of a third party can, and its evaluation needs; columns."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        kinds: Iterator[Any] = (base for base in cls.__mro__[1:] if base.__module__.startswith(f"{__package__}."))
        kind = next(kinds)
        if "Config" in vars(cls) and kind is not Configured:
            definition.derived(cls, kind.Config)
        for attribute, known in cls.WORDS.items():
            words = vars(cls).get(attribute, known)
            if not isinstance(words, property):
                definition.known_words(f"`{attribute}` of {cls.__qualname__}", words, known, cls.OWN_WORDS)

    if TYPE_CHECKING:  # at run time it is a plain attribute

        @property
        def config(self: _HasConfig[C]) -> C: ...

        @config.setter
        def config(self, config: Config) -> None: ...
