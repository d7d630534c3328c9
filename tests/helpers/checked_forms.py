"""The forms in which built-in components are checked, where their defaults in the toy system do not do."""

from pathlib import Path

import stand_ins
from built_ins import COCA, MASKS, MODEL, OBJECTIVES, PAIRINGS

from vlobjectives.testing import Toy

SCENES = {"type": "scenes", "image_size": 32, "samples": 24, "val": 8, "test": 96, "test_new": 0}
CLIPS = {**SCENES, "frames": 2}
CAPTION = {"type": "byte_pair", "size": 300, "length": 30}
PHRASES = {"type": "phrases", "of": "caption", "with": "caption", "least": 1, "size": 64, "length": 4}
LINKS = {"type": "links", "of": "phrases", "with": "caption"}
TAGS = {"type": "tags", "with": "caption", "length": 14}


def scenes(data=SCENES, **more):
    fields = {"caption": CAPTION, **more.pop("fields", {})}
    return Toy(rows=32, data=data, fields=fields, **more)


def pairs(**more):
    return Toy(rows=32, data={"samples": 96}, **more)


REGIONS = {
    "fields": {"phrases": PHRASES, "links": LINKS, "tags": TAGS},
    "inputs": {
        "image": {"fields": ["tags", "regions"], "part": "vision", "mask": "noisy_tags"},
        "text": {"fields": ["caption", "phrases"], "part": "text", "mask": "linked"},
    },
    "model": {
        **MODEL,
        "vision": {"type": "tagged_regions", "width": 16, "depth": 1, "heads": 2, "norm": "pre"},
        "fusion": {"type": "merged_attention", "width": 16, "depth": 1, "heads": 2, "norm": "pre", "classes": False},
        "joint": {"type": "projection", "width": 8, "bias": False},
        "words": {"type": "vocabulary_head", "of": "text", "tied": True, "field": "caption"},
        "concepts": {"type": "vocabulary_head", "of": "vision", "tied": True, "field": "tags"},
    },
    "masks": {
        "noisy_tags": {"type": "random_tokens", "ratio": 0.3, "fill": "bert"},
        "linked": {"type": "linked_tokens", "ratio": 0.15},
    },
}
GLOBAL = {"image_mask": "dropped", "text_mask": "hidden_words"}
LOCAL = {"image_mask": "replaced", "text_mask": "hidden_words", "context_mask": "dropped"}
JUDGED = {"itm": {"negatives": "others"}}
READERS = {
    "byte_pair": scenes(),
    "answers": scenes(fields={"answer": {"type": "answers", "size": 12}}),
    "phrases": scenes(fields={"phrases": PHRASES}),
    "links": scenes(fields={"phrases": PHRASES, "links": LINKS}),
    "counted": scenes(fields={"counted": {"type": "counted", "of": "caption", "size": 32, "least": 1}}),
    "tags": scenes(fields={"tags": TAGS}),
}
EVALUATIONS = {
    "retrieval": pairs(evaluate={"retrieval": {"gallery": 16}}),
    "rerank": pairs(objectives=JUDGED, evaluate={"rerank": {"gallery": 16, "top": 4}}),
    "itm": pairs(objectives=JUDGED, evaluate={"itm": {}}),
    "vqa": scenes(fields={"answer": {"type": "answers", "size": 12}}, objectives={"vqa": {}}, evaluate={"vqa": {}}),
    "captioning": scenes(model=COCA, objectives={"ic": {}}, evaluate={"captioning": {"count": 24}}),
    "zero_shot": scenes(evaluate={"zero_shot": {}}),
    "words": scenes(objectives={"mlm": {"mask": "noisy_words"}}, evaluate={"words": {}}),
    "naming": scenes(model=COCA, objectives={"ic": {}}, evaluate={"naming": {}}),
    "binding": scenes(objectives=JUDGED, evaluate={"binding": {"count": 24}}),
    "probe": scenes(evaluate={"probe": {}}),
    "motion": scenes(CLIPS, inputs={"image": {"fields": ["clip"]}}, evaluate={"motion": {"gallery": 16}}),
    "completion": scenes(objectives={"mgsc": GLOBAL, "mltc": LOCAL}, evaluate={"completion": {"count": 24}}),
    "alignment": scenes(model=MODEL, evaluate={"alignment": {}}),
    "painting": scenes(
        model=COCA,
        masks={"by_chance": MASKS["by_chance"]},
        objectives={"tgmim": {"mask": "by_chance"}},
        evaluate={"painting": {}},
    ),
    "grounding": scenes(**REGIONS, objectives={"wpg": {"rule": "mean"}}, evaluate={"grounding": {}}),
    "recovery": scenes(**REGIONS, objectives={"mcr": {}}, evaluate={"recovery": {"mask": "noisy_tags"}}),
}

LOOKS = {"type": "timm_vision", "patch": 4, "width": 16, "depth": 2, "heads": 2}
POOLED = {**LOOKS, "type": "pooled_vision", "pooling": "cascade", "queries": 4, "pooler_heads": 2}
FORMS = {
    **{("reader", name): toy for name, toy in READERS.items()},
    **{("evaluation", name): toy for name, toy in EVALUATIONS.items()},
    ("source", "scenes"): {key: value for key, value in SCENES.items() if key != "type"},
    ("encoder", "pooled_vision"): Toy(model={"vision": POOLED}),
}
"""(kind, name) -> the Toy, or the options, in which a built-in is checked; others by their defaults."""
EXPECTED = {
    ("evaluation", name): {"chance_is_reached": "its chance level is the best blind guess, which untrained parts miss"}
    for name in ("vqa", "words", "naming", "recovery")
}
HELD = {
    **{("objective", form.split()[0]): "testing/test_checks_pass.py" for form in OBJECTIVES},
    **{("mask", mask["type"]): "testing/test_checks_pass.py" for mask in MASKS.values()},
    **{("pairing", pairing["type"]): "testing/test_checks_pass.py" for pairing in PAIRINGS.values()},
    **{("part", part["type"]): "testing/test_checks_pass.py" for part in (*MODEL.values(), *COCA.values())},
    ("part", "merged_attention"): "testing/test_checks_pass.py",
    ("part", "tagged_regions"): "vlobj_mvptr/test_checks.py",
    ("objective", "mcr"): "vlobj_mvptr/test_checks.py",
    ("objective", "wpg"): "vlobj_mvptr/test_checks.py",
    ("mask", "linked_tokens"): "vlobj_mvptr/test_linked_tokens.py",
    ("mask", "cls_attention"): "vlobj_common/test_cls_attention.py",
    **{("balancer", name): "testing/test_balancer_checks.py" for name in ("uncertainty", "gradnorm", "pcgrad")},
}
"""(kind, name) of those that are held to all checks in several forms, and the test that does so."""


def of_files(folder: Path) -> dict[tuple[str, str], object]:
    """The forms of what reads files, on ten pictures, ten clips and a tokenizer in this folder."""
    stand_ins.data(folder)
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    special = {"pad_token": (0, "[PAD]"), "unk_token": (1, "[UNK]"), "cls_token": (2, "[CLS]")}
    stand_ins._tokenizer(tokenizer, 400, special | {"sep_token": (3, "[SEP]"), "mask_token": (4, "[MASK]")})
    return {
        ("source", "captions"): {
            "manifest": str(folder / "captions.json"),
            "images": str(folder / "images"),
            "image_size": 16,
        },
        ("source", "video_captions"): {
            "manifest": str(folder / "clips.json"),
            "videos": str(folder / "videos"),
            "image_size": 16,
            "frames": 2,
        },
        ("reader", "hugging_face"): scenes(
            fields={"caption": {"type": "hugging_face", "name": str(tokenizer), "length": 24}}
        ),
    }
