"""Every part, objective and mask of CoCa and SyCoCa keeps every law."""

import pytest

from vlobjectives.testing import Toy, objective_laws, part_laws

MODEL = {
    "vision": {"type": "timm_vision", "patch": 4, "width": 16, "depth": 1, "heads": 2},
    "text": {"type": "causal_text", "width": 16, "depth": 2, "heads": 2},
    "captioner": {"type": "cross_decoder", "query": "text", "memory": "vision", "causal": True, "width": 12, "depth": 2,
                  "heads": 2},
    "painter": {"type": "cross_decoder", "query": "vision", "memory": "text", "width": 12, "depth": 1, "heads": 2,
                "mlp_per_layer": 1},
    "words": {"type": "vocabulary_head", "of": "captioner", "layers": "matrix"},
}
OBJECTIVES = {"ic": {}, "ic of what is left": {"mask": "replaced"},
              "ic of what the encoder saw": {"mask": "dropped", "ic_image": "masked"}}
ALONE = [law for law in objective_laws() if law.name != "processes_equal_one"]


@pytest.mark.parametrize("name", ["text", "captioner", "painter", "words"])
def test_parts(name):
    for law in part_laws():
        law.check(name, Toy(model=MODEL))


def test_a_text_tower_under_the_rule_of_open_clip_looks_at_padding():
    wanted = {"padding_unseen": "[CLS] sees the first padding position"}
    for law in part_laws(wanted):
        law.check("text", Toy(model={"text": {**MODEL["text"], "cls_mask": "open_clip"}}))


@pytest.mark.parametrize("form", OBJECTIVES)
def test_objectives(form):
    name = form.split()[0]
    for law in ALONE:
        law.check(name, Toy(model=MODEL, objectives={name: OBJECTIVES[form]}))
