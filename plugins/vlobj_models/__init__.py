"""Parts of models: encoders, fusion, projection, heads."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "encoder:timm_vision": "vlobj_models.timm_vision:TimmVision",
        "encoder:pooled_vision": "vlobj_models.pooled_vision:PooledVision",
        "encoder:causal_text": "vlobj_models.causal_text:CausalText",
        "encoder:hf_text": "vlobj_models.hf_text:HFText",
        "encoder:tagged_regions": "vlobj_models.tagged_regions:TaggedRegions",
        "fusion:co_attention": "vlobj_models.co_attention:CoAttention",
        "decoder:cross_decoder": "vlobj_models.cross_decoder:CrossDecoder",
        "fusion:merged_attention": "vlobj_models.merged_attention:MergedAttention",
        "projection:projection": "vlobj_models.projection:JointProjection",
        "head:vocabulary_head": "vlobj_models.vocabulary_head:VocabularyHead",
    }
