"""SyCoCa (arXiv 2401.02137): text-guided masked image modelling, and masks that the caption chooses."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "objective:tgmim": "vlobj_sycoca.tgmim:TGMIM",
        "mask:attentive_patches": "vlobj_sycoca.attentive_patches:AttentivePatches",
        "evaluation:painting": "vlobj_sycoca.painting:Painting",
    }
