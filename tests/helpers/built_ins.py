"""The built-in objectives, masks, pairings and parts in the forms that the checks are tried on."""

from vlobjectives.testing import Toy

PAIRINGS = {
    "others": {"type": "random_negatives"},
    "hard": {"type": "hard_negatives"},
    "hard_captions": {"type": "hard_negatives", "sides": "caption"},
    "hardest": {"type": "hard_negatives", "choose": "argmax", "sides": "both"},
    "every": {"type": "all_pairs"},
    "of_other_captions": {"type": "hard_negatives", "positives": "equal_captions"},
    "mined": {"type": "hard_negatives", "choose": "argmax", "sides": "half"},
}
GLOBAL = {"image_mask": "dropped", "text_mask": "hidden_words"}
OBJECTIVES = {
    "itc": {},
    "itc of equal captions": {"positives": "equal_captions"},
    "itc of one picture": {"positives": "same_picture"},
    "siglip": {},
    "itm": {"negatives": "others"},
    "itm of hard ones": {"negatives": "hard"},
    "itm both": {"negatives": "others", "scheme": "matched_plus_wrong"},
    "itm both, hardest": {"negatives": "hardest", "scheme": "matched_plus_wrong"},
    "itm both, all": {"negatives": "every", "scheme": "matched_plus_wrong"},
    "vqa": {},
    "mlm": {"mask": "noisy_words"},
    "mlm of texts alone": {"mask": "noisy_words", "image": None},
    "mgsc": GLOBAL,
    "mgsc over frames": {**GLOBAL, "norm_axis": "frame"},
    "mltc": {"image_mask": "replaced", "text_mask": "hidden_words", "context_mask": "dropped"},
    "scl": GLOBAL,
    "scl l2": {**GLOBAL, "loss": "l2"},
    "scl cosine": {**GLOBAL, "loss": "cosine"},
    "itc of clips": {},
    "mgsc of clips": GLOBAL,
    "mgsc of clips over frames": {**GLOBAL, "norm_axis": "frame"},
    "scl of clips": GLOBAL,
    "scl of clips l2": {**GLOBAL, "loss": "l2"},
    "ic": {},
    "ic of what is left": {"mask": "clutter"},
    "ic of what the encoder saw": {"mask": "farthest", "ic_image": "masked"},
    "tgmim": {"mask": "spoken"},
    "tgmim without text": {"mask": "by_chance", "memory": None, "decoder": "plain"},
    "tgmim of dropped pixels": {"mask": "farthest", "target": "pixels", "distance": "l1", "decoder": "restorer"},
}
EXPECTED = {
    "mgsc over frames": {"gradient_where_declared": "of one frame signs alone are left, which nothing is learned from"}
}
"""Form -> check -> why it cannot hold."""
HALF = {"type": "attentive_patches", "ratio": 0.5, "hide": "most"}
MASKS = {
    "dropped": {"type": "random_patches", "ratio": 0.6, "fill": "drop"},
    "replaced": {"type": "random_patches", "ratio": 0.4, "fill": "token"},
    "greyed": {"type": "random_patches", "ratio": 0.5, "fill": "pixels"},
    "tubes": {"type": "random_tubes", "ratio": 0.5, "fill": "drop"},
    "spoken": HALF,
    "clutter": {**HALF, "hide": "least", "stream": "spoken", "ratio": 0.3},
    "farthest": {**HALF, "select": "farthest", "score": "mean", "fill": "drop"},
    "by_chance": {**HALF, "select": "random", "fill": "pixels"},
    "block": {**HALF, "select": "block", "score": "class", "tie": "noise"},
    "blocks": {"type": "block_patches", "ratio": 0.5, "fill": "drop", "least": 2},
    "exact": {"type": "random_tokens", "ratio": 0.5},
    "with_replacement": {"type": "random_tokens", "ratio": 0.4, "draw": "with_replacement"},
    "of_padded": {"type": "random_tokens", "ratio": 0.3, "draw": "of_padded", "fill": "bert"},
    "whole": {"type": "whole_words", "ratio": 0.5, "fill": "bert"},
    "spans": {"type": "span_tokens", "ratio": 0.5, "fill": "bert"},
}
BY_CONTENT = {"spoken", "clutter", "farthest", "block"}
"""Masks that draw the same at every step."""
ROBERTA = {
    "model_type": "roberta-prelayernorm",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
MODEL = {
    "vision": {"type": "timm_vision", "patch": 4, "width": 16, "depth": 2, "heads": 2},
    "text": {"type": "hf_text", "config": ROBERTA},
    "fusion": {"type": "co_attention", "width": 16, "depth": 2, "heads": 2},
    "joint": {"type": "projection", "width": 8},
    "words": {"type": "vocabulary_head", "of": "text", "tied": True},
}
SMALL = {"width": 12, "depth": 1, "heads": 2}
PAINTER = {"type": "cross_decoder", "query": "vision", "memory": "text", "mlp_per_layer": 1, **SMALL}
COCA = {
    "text": {"type": "causal_text", **SMALL},
    "captioner": {"type": "cross_decoder", "query": "text", "memory": "vision", "causal": True, **SMALL, "width": 8},
    "painter": PAINTER,
    "restorer": {**PAINTER, "restore": True},
    "plain": {**PAINTER, "memory": None},
    "words": {"type": "vocabulary_head", "of": "captioner", "layers": "matrix"},
}


def toy_of(form: str) -> tuple[Toy, str]:
    """A toy with this form of an objective, and the name that the objective has in it."""
    name = form.split()[0]
    clips = {"frames": 2} if "clips" in form else {}
    options = OBJECTIVES[form]
    named = {*options.values(), "spoken"}  # another one draws from its stream
    return Toy(
        objectives={name: options},
        pairings={key: PAIRINGS[key] for key in PAIRINGS if key in named},
        masks={key: MASKS[key] for key in MASKS if key in named},
        model=COCA if name in ("ic", "tgmim") else {},
        data={"pictures": 40, **clips},
    ), name
