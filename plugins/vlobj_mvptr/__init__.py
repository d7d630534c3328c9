"""MVPTR (arXiv 2201.12596): concepts in both modalities, masked concept recovering, weakly supervised grounding."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "reader:phrases": "vlobj_mvptr.phrases:Phrases",
        "reader:links": "vlobj_mvptr.links:Links",
        "reader:counted": "vlobj_mvptr.counted:Counted",
        "reader:tags": "vlobj_mvptr.tags:Tags",
        "mask:linked_tokens": "vlobj_mvptr.linked_tokens:LinkedTokens",
        "objective:mcr": "vlobj_mvptr.mcr:MCR",
        "objective:wpg": "vlobj_mvptr.wpg:WPG",
        "evaluation:grounding": "vlobj_mvptr.grounding:Grounding",
        "evaluation:recovery": "vlobj_mvptr.recovery:Recovery",
    }
