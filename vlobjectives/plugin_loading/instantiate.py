"""Making a plug-in that a recipe names: its Config, the keywords that it asks for, and why it cannot be."""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from vlobjectives.contracts.config import Config
from vlobjectives.contracts.parts import CannotBuild
from vlobjectives.plugin_loading.attribution import ContractError, KeyPath
from vlobjectives.plugin_loading.side_effects import contained

VIEWS = "call its arguments as its views, and as its Config's names of parts"


class BuildError(Exception):
    """Something in a recipe cannot be made; `path` is where it stands. `check` turns it into a Problem."""

    def __init__(self, path: KeyPath, why: str, hint: str = ""):
        super().__init__(why)
        self.path, self.why, self.hint = path, why, hint


def config_of(cls: type[Any], options: Mapping[str, Any]) -> Config:
    """The plug-in's Config of these options, strict as JSON is. Raises pydantic's ValidationError."""
    config: Config = cls.Config.model_validate_json(json.dumps(options), strict=True)
    return config


def placed(path: tuple[str, ...], make: Callable[[], Any], draws: bool = False) -> Any:
    """What `make` gives. A plug-in that refuses raises BuildError at its path. What it does to the process as a whole
    is
    put back; `draws`: first weights come from torch's random state."""
    try:
        with contained(".".join(path), draws=draws):
            return make()
    except CannotBuild as error:
        raise BuildError(path, error.why, error.hint) from error


def unmet(call: Callable[..., Any], offered: Mapping[str, Any]) -> list[str]:
    """What a bound function's signature must be given, and the host does not offer."""
    return [
        name
        for name, p in inspect.signature(call).parameters.items()
        if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and name not in offered
    ]


def met(call: Callable[..., Any], offered: Mapping[str, Any], hint: str = VIEWS) -> None:
    """Raises ContractError where a function's signature must be given what the host does not offer."""
    if lacking := unmet(call, offered):
        there = ", ".join(offered) or "nothing"
        raise ContractError(f"{call.__name__} asks for {', '.join(lacking)}, and is given {there}", hint, call)


def asked_for(call: Callable[..., Any], offered: Mapping[str, Any]) -> dict[str, Any]:
    """What a function's signature names of the keywords that the host offers; all of them where it takes any."""
    wanted = inspect.signature(call).parameters
    if any(p.kind is p.VAR_KEYWORD for p in wanted.values()):
        return dict(offered)
    return {key: value for key, value in offered.items() if key in wanted}
