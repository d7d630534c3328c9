"""What many papers share: contrast, matching, masked words, answers, random masks, pairings, evaluations."""

from vlobjectives import hookimpl


@hookimpl
def vlobj_components():
    return {
        "objective:ic": "vlobj_common.ic:IC",
        "objective:itc": "vlobj_common.itc:ITC",
        "objective:itm": "vlobj_common.itm:ITM",
        "objective:mlm": "vlobj_common.mlm:MLM",
        "objective:vqa": "vlobj_common.vqa:VQA",
        "mask:random_patches": "vlobj_common.random_patches:RandomPatches",
        "mask:random_tubes": "vlobj_common.random_patches:RandomTubes",
        "mask:cls_attention": "vlobj_common.cls_attention:ClsAttention",
        "mask:block_patches": "vlobj_common.block_patches:BlockPatches",
        "mask:random_tokens": "vlobj_common.random_tokens:RandomTokens",
        "mask:span_tokens": "vlobj_common.span_tokens:SpanTokens",
        "mask:whole_words": "vlobj_common.whole_words:WholeWords",
        "pairing:random_negatives": "vlobj_common.pairings:RandomNegatives",
        "pairing:hard_negatives": "vlobj_common.pairings:HardNegatives",
        "pairing:all_pairs": "vlobj_common.pairings:AllPairs",
        "reader:answers": "vlobj_common.answers:Answers",
        "evaluation:retrieval": "vlobj_common.retrieval:Retrieval",
        "evaluation:rerank": "vlobj_common.rerank:Rerank",
        "evaluation:itm": "vlobj_common.matching_accuracy:MatchingAccuracy",
        "evaluation:vqa": "vlobj_common.answering:Answering",
        "evaluation:captioning": "vlobj_common.captioning:Captioning",
        "evaluation:zero_shot": "vlobj_common.zero_shot:ZeroShot",
        "evaluation:words": "vlobj_common.words:Words",
        "evaluation:naming": "vlobj_common.naming:Naming",
        "evaluation:binding": "vlobj_common.binding:Binding",
        "evaluation:probe": "vlobj_common.probe:Probe",
        "evaluation:motion": "vlobj_common.motion:Motion",
    }
