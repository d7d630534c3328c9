"""MVPTR (arXiv 2201.12596): concepts in both modalities, masked concept recovering, weakly supervised grounding."""

from vlobjectives import hookimpl


@hookimpl
def vlobj_components():
    return {}
