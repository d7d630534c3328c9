"""The plug-in file of the toys, for `Registry.add_file`: they are no entry point and shadow nobody's names."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    parts = {
        "encoder:toy_vision": "ToyVision",
        "encoder:toy_text": "ToyText",
        "fusion:toy_fusion": "ToyFusion",
        "decoder:toy_decoder": "ToyDecoder",
        "projection:toy_joint": "ToyJoint",
        "head:toy_head": "ToyHead",
    }
    data = {"source:toy_pairs": "ToyPairs", "reader:toy_words": "ToyWords"}
    return {
        **{key: f"vlobjectives.testing.toy_parts:{name}" for key, name in parts.items()},
        **{key: f"vlobjectives.testing.toy_data:{name}" for key, name in data.items()},
    }
