"""Objectives of 2021-25, each in a file of its own, imported when a recipe names it."""

from collections.abc import Mapping

from vlobjectives import hookimpl

VLOBJ_API = 2


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "objective:filip": "vlobj_modern.filip:FILIP",
        "objective:cyclip": "vlobj_modern.cyclip:CyCLIP",
        "objective:negclip": "vlobj_modern.negclip:NegCLIP",
        "objective:slip": "vlobj_modern.slip:SLIP",
        "objective:silc": "vlobj_modern.silc:SILC",
        "objective:flair": "vlobj_modern.flair:FLAIR",
    }
