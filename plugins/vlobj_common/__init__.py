"""What many papers share: contrast, matching, masked words, answers, random masks, pairings, balancers, evaluations."""

from collections.abc import Mapping

from vlobjectives import hookimpl


@hookimpl
def vlobj_components() -> Mapping[str, str]:
    return {
        "objective:ic": "vlobj_common.objectives.ic:IC",
        "objective:itc": "vlobj_common.objectives.itc:ITC",
        "objective:itm": "vlobj_common.objectives.itm:ITM",
        "objective:mlm": "vlobj_common.objectives.mlm:MLM",
        "objective:siglip": "vlobj_common.objectives.siglip:SigLIP",
        "objective:vqa": "vlobj_common.objectives.vqa:VQA",
        "mask:random_patches": "vlobj_common.masks.random_patches:RandomPatches",
        "mask:random_tubes": "vlobj_common.masks.random_patches:RandomTubes",
        "mask:cls_attention": "vlobj_common.masks.cls_attention:ClsAttention",
        "mask:block_patches": "vlobj_common.masks.block_patches:BlockPatches",
        "mask:random_tokens": "vlobj_common.masks.random_tokens:RandomTokens",
        "mask:span_tokens": "vlobj_common.masks.span_tokens:SpanTokens",
        "mask:whole_words": "vlobj_common.masks.whole_words:WholeWords",
        "pairing:random_negatives": "vlobj_common.pairings.negatives:RandomNegatives",
        "pairing:hard_negatives": "vlobj_common.pairings.negatives:HardNegatives",
        "pairing:all_pairs": "vlobj_common.pairings.negatives:AllPairs",
        "balancer:uncertainty": "vlobj_common.balancers.uncertainty:Uncertainty",
        "balancer:gradnorm": "vlobj_common.balancers.gradnorm:GradNorm",
        "balancer:pcgrad": "vlobj_common.balancers.pcgrad:PCGrad",
        "reader:answers": "vlobj_common.readers.answers:Answers",
        "evaluation:retrieval": "vlobj_common.evaluations.retrieval:Retrieval",
        "evaluation:rerank": "vlobj_common.evaluations.rerank:Rerank",
        "evaluation:itm": "vlobj_common.evaluations.matching_accuracy:MatchingAccuracy",
        "evaluation:vqa": "vlobj_common.evaluations.answering:Answering",
        "evaluation:captioning": "vlobj_common.evaluations.captioning:Captioning",
        "evaluation:zero_shot": "vlobj_common.evaluations.zero_shot:ZeroShot",
        "evaluation:words": "vlobj_common.evaluations.masked_words:Words",
        "evaluation:naming": "vlobj_common.evaluations.next_words:Naming",
        "evaluation:binding": "vlobj_common.evaluations.binding:Binding",
        "evaluation:probe": "vlobj_common.evaluations.probe:Probe",
        "evaluation:motion": "vlobj_common.evaluations.motion:Motion",
    }
