"""Parts of models: encoders, fusion, projection, heads."""

from vlobjectives import hookimpl


@hookimpl
def vlobj_components():
    return {
        "encoder:timm_vision": "vlobj_models.timm_vision:TimmVision",
        "encoder:hf_text": "vlobj_models.hf_text:HFText",
        "fusion:co_attention": "vlobj_models.co_attention:CoAttention",
        "projection:projection": "vlobj_models.projection:JointProjection",
        "head:vocabulary_head": "vlobj_models.vocabulary_head:VocabularyHead",
    }
