"""Objectives of 2021-25, each in a file of its own, imported when a recipe names it."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "objective:filip": "vlobj_modern.filip:FILIP",
        "objective:cyclip": "vlobj_modern.cyclip:CyCLIP",
    }
