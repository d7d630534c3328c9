"""GLSCL (arXiv 2306.07096) and SCL (arXiv 2211.13437): completion of masked global and local semantics."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "objective:mgsc": "vlobj_glscl.mgsc:MGSC",
        "objective:mltc": "vlobj_glscl.mltc:MLTC",
        "objective:scl": "vlobj_glscl.scl:SCL",
        "evaluation:completion": "vlobj_glscl.completion:Completion",
        "evaluation:alignment": "vlobj_glscl.alignment:Alignment",
    }
