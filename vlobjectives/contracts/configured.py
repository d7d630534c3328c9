"""What every kind of plug-in shares: a Config class, and an instance of it as `self.config`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from vlobjectives.contracts.config import Config

C = TypeVar("C", covariant=True)


class _HasConfig(Protocol[C]):
    @property
    def Config(self) -> Callable[..., C]: ...


class Configured:
    """Base of all kinds of plug-ins. A type checker takes `self.config` for an instance of the plug-in's own Config.

    The Config may be a class inside of the plug-in's or beside it (`Config = MyConfig`); there is no parameter to give.
    """

    if TYPE_CHECKING:  # at run time it is a plain attribute

        @property
        def config(self: _HasConfig[C]) -> C: ...

        @config.setter
        def config(self, config: Config) -> None: ...
