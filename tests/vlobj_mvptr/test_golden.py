"""MVPTR's two stages and its whole step against the published numbers (specification 1 and 3)."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from handmade import close
from torch import Tensor
from vlobj_common.objectives.itc import ITC
from vlobj_common.objectives.itm import ITM
from vlobj_common.objectives.mlm import MLM
from vlobj_common.pairings.negatives import HardNegatives
from vlobj_models.hf_text import HFText
from vlobj_models.merged_attention import MergedAttention
from vlobj_models.projection import JointProjection
from vlobj_models.tagged_regions import TaggedRegions
from vlobj_models.vocabulary_head import VocabularyHead
from vlobj_mvptr.mcr import MCR
from vlobj_mvptr.wpg import WPG

from vlobjectives import Batch, FieldSpec, MaskSample, Noise, Pairs, RequestedOutputs, Spec, Term, Tokens, Vectors
from vlobjectives.functional import mask_to_indices

GOLDEN = Path(__file__).parents[1] / "golden" / "mvptr"
PLAIN = RequestedOutputs()
BLOCK = {
    "own.query": "q",
    "own.key": "k",
    "own.value": "v",
    "own.out": "o",
    "fc1": "f1",
    "fc2": "f2",
    "norm1": "ln1",
    "norm2": "ln2",
}
BERT = {
    "attention.self.query": "q",
    "attention.self.key": "k",
    "attention.self.value": "v",
    "attention.output.dense": "o",
    "attention.output.LayerNorm": "ln1",
    "intermediate.dense": "f1",
    "output.dense": "f2",
    "output.LayerNorm": "ln2",
}


@cache
def golden(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"{name}.npz") as file:
        return {key: torch.from_numpy(np.asarray(file[key])) for key in file.files}


def layers(z: dict[str, Tensor], stack: str, stem: str, names: dict[str, str]) -> dict[str, Tensor]:
    """A stack's weights by our names; a norm's weight is called g."""
    return {
        f"{stem}{layer}.{own}.{tail}": z[f"w_{stack}{layer}_{short}_{key}"]
        for layer in range(int(z["in_layers"]))
        for own, short in names.items()
        for tail, key in (("weight", "g" if "ln" in short else "w"), ("bias", "b"))
    }


class Model:
    """The parts of a golden file, with its weights."""

    def __init__(self, z: dict[str, Tensor]):
        self.z, width, heads, depth = z, z["w_word"].shape[1], int(z["in_heads"]), int(z["in_layers"])
        inner = z["w_txt0_f1_b"].numel()
        special = {"pad": 0, "begin": 1, "end": 2, "mask": 3}
        words, rows = int(z["in_word_size"]), len(z["w_word"])
        text = {
            "caption": FieldSpec("tokens", (z["in_text_ids"].shape[1] - 3,), words, special=special),
            "phrases": FieldSpec("tokens", (3,), rows, ids=(words, rows - words), special=special),
        }
        picture = {
            "tags": FieldSpec("tokens", (int(z["in_tag_len"]),), words, special=special),
            "regions": FieldSpec("vectors", tuple(z["in_feats"].shape[1:])),
        }
        bert = {
            "model_type": "bert",
            "hidden_size": width,
            "num_hidden_layers": depth,
            "num_attention_heads": heads,
            "intermediate_size": inner,
            "type_vocab_size": 1,
            "max_position_embeddings": len(z["w_pos"]),
        }
        self.text = HFText(HFText.Config(config=bert), text).double().eval()
        stack = {"width": width, "depth": depth, "heads": heads, "mlp_ratio": inner / width}
        layered = "w_imgln_g" in z
        self.vision = (
            TaggedRegions(TaggedRegions.Config(**stack, region_norm=layered, share="all"), picture, self.text.spec)
            .double()
            .eval()
        )
        self.fusion = MergedAttention(MergedAttention.Config(**stack), self.vision.spec, self.text.spec).double().eval()
        self.joint = JointProjection(
            JointProjection.Config(width=z["w_txt_proj"].shape[1], bias=False, form="log_scale"),
            self.vision.spec,
            self.text.spec,
        )
        self.joint.double()
        embedding = {
            "word_embeddings.weight": z["w_word"],
            "position_embeddings.weight": z["w_pos"],
            "token_type_embeddings.weight": z["w_seg"][:1],
            "LayerNorm.weight": z["w_embln_g"],
            "LayerNorm.bias": z["w_embln_b"],
        }
        self.load(
            self.text,
            {f"module.embeddings.{name}": x for name, x in embedding.items()}
            | {f"module.{name}": x for name, x in layers(z, "txt", "encoder.layer.", BERT).items()},
        )
        for own, other in self.vision.ties().items():
            holder, _, leaf = own.rpartition(".")
            setattr(self.vision.get_submodule(holder), leaf, self.text.get_parameter(other.removeprefix("text.")))
        norm = {"region_norm.weight": z["w_imgln_g"], "region_norm.bias": z["w_imgln_b"]} if layered else {}
        self.load(
            self.vision,
            {"segment": z["w_seg"][1], "region.weight": z["w_imgemb_w"], "region.bias": z["w_imgemb_b"]}
            | norm
            | layers(z, "vis", "stack.blocks.", BLOCK),
        )
        self.load(
            self.fusion,
            {"pooler.weight": z["w_pool_w"], "pooler.bias": z["w_pool_b"]} | layers(z, "mul", "stack.blocks.", BLOCK),
        )
        self.load(
            self.joint,
            {"image.0.weight": z["w_img_proj"].T, "text.0.weight": z["w_txt_proj"].T, "log_scale": z["w_log_scale"]},
        )

    @staticmethod
    def load(part: torch.nn.Module, weights: dict[str, Tensor]) -> None:
        for name, x in weights.items():
            parameter = part.get_parameter(name)
            assert parameter.shape == x.shape, name
            parameter.data = x

    def inputs(self) -> tuple[Tokens, Tokens]:
        """Tags with regions beside them, and texts; phrases lie in segment 1."""
        z = self.z
        place, span = torch.arange(z["in_text_ids"].shape[1]), z["in_phrase_span"]
        phrase = (place >= span[:, :1]) & (place < span[:, 1:])
        length, seen = int(z["in_tag_len"]), z["in_vis_mask"].bool()
        text = sequence(z["in_text_ids"], z["in_text_mask"].bool(), phrase.long())
        tags = sequence(z["in_tag_ids"], seen[:, :length], torch.zeros_like(z["in_tag_ids"]))
        return replace(tags, beside={"regions": Vectors(z["in_feats"], seen[:, length:])}), text


def sequence(ids: Tensor, valid: Tensor, segment: Tensor) -> Tokens:
    last = valid.sum(1, keepdim=True) - 1
    place = torch.arange(ids.shape[1])
    return Tokens(ids, valid, ~valid | (place == 0) | (place == last), segment)


def labelled(labels: Tensor, ids: Tensor) -> tuple[MaskSample, Tensor]:
    """What the masks drew, given the corrupted ids, and the ids that stood there."""
    scored = labels >= 0
    index, ok = mask_to_indices(scored, int(scored.sum(1).max()))
    return MaskSample(scored, scored, index, ok, ids=ids), torch.where(scored, labels, ids)


@pytest.mark.parametrize("name", ["stack_a", "step_a", "step_b"])
def test_two_stages(name: str):
    z, model = golden(name), Model(golden(name))
    tags, text = model.inputs()
    x, y = model.text(text, None, PLAIN), model.vision(tags, None, PLAIN)
    close(x.tokens, z["out_txt"])
    length = int(z["in_tag_len"])
    close(y.extra["tags"][tags.valid], z["out_vis"][:, :length][tags.valid])
    close(y.tokens, z["out_vis"][:, length:])
    close(model.joint(x, "text", PLAIN).pooled @ model.joint(y, "image", PLAIN).pooled.T, z["out_sim"])
    fused = model.fusion(y, x, PLAIN)
    close(torch.cat([fused.text.tokens, fused.image.tokens], 1), z["out_joint"])
    close(fused.pooled, z["out_pooled"])


class Given(Noise):
    """Numbers by name."""

    def __init__(self, size: int, **given: Tensor):
        super().__init__(0, "golden", 0, torch.arange(size))
        object.__setattr__(self, "given", given)

    def __call__(self, name: str, *shape: int) -> Tensor:
        return self.given[name].reshape(-1, *shape)

    def between(self, name: str, others: Tensor) -> Tensor:
        return self.given[name]


def head(z: dict[str, Tensor], of: str, spec: FieldSpec) -> VocabularyHead:
    made = VocabularyHead(VocabularyHead.Config(), Spec(z["w_word"].shape[1], fields={"caption": spec})).double()
    Model.load(
        made,
        {
            "dense.weight": z[f"w_{of}_dense_w"],
            "dense.bias": z[f"w_{of}_dense_b"],
            "norm.weight": z[f"w_{of}_ln_g"],
            "norm.bias": z[f"w_{of}_ln_b"],
            "decoder.weight": z[f"w_{of}_dec_w"],
            "bias": z[f"w_{of}_dec_b"],
        },
    )
    return made


def value(term: Term) -> Tensor:
    return term.total / term.count


@pytest.mark.parametrize("name", ["step_a", "step_b"])
def test_whole_step(name: str):
    """Five losses of one text pass, one visual pass and two fused ones, given the published draws."""
    z, model = golden(name), Model(golden(name))
    tags, text = model.inputs()
    size, length = len(text.ids), int(z["in_tag_len"])
    tag_draw, tag_ids = labelled(z["in_mcr_labels"][:, :length], tags.ids)
    text_draw, text_ids = labelled(z["in_mlm_labels"], text.ids)
    batch = Batch(
        torch.arange(size),
        torch.arange(size),
        {"image": replace(tags, ids=tag_ids), "text": replace(text, ids=text_ids)},
    )
    x, y = model.text(batch["text"], text_draw, PLAIN), model.vision(batch["image"], tag_draw, PLAIN)
    matched = model.fusion(y, x, PLAIN)
    joint = {"image": model.joint(y, "image", PLAIN), "text": model.joint(x, "text", PLAIN)}

    mining = HardNegatives(HardNegatives.Config(choose="argmax", sides="half"))
    side = z["in_perm"].argsort().double()  # the first half of the permutation takes wrong pictures
    pairs = mining.wrong(Given(size, side=side), batch, **joint)
    found = sorted(zip(pairs.text.tolist(), pairs.image.tolist()))
    assert found == sorted(zip(z["out_neg_text"].tolist(), z["out_neg_image"].tolist()))
    published = Pairs(z["out_neg_image"], z["out_neg_text"], z["in_perm"], torch.ones(size, dtype=torch.bool))
    wrong = replace(model.fusion(y.rows(published.image), x.rows(published.text), PLAIN), pairs=published)
    close(torch.cat([wrong.text.tokens, wrong.image.tokens], 1), z["out_neg_joint"])
    close(wrong.pooled, z["out_neg_pooled"])

    words = model.text.spec.fields["caption"]
    losses = {}
    mcr = MCR(MCR.Config())
    mcr_head = head(z, "mcr", words)
    mcr.build(model.vision.spec, mcr_head.spec)
    losses["mcr"] = mcr(y, mcr_head, batch)["concepts"]
    mlm = MLM(MLM.Config(mask=None))
    mlm_head = head(z, "mlm", words)
    mlm.build(mlm_head.spec)
    losses["mlm"] = mlm(matched, mlm_head, batch)["words"]
    losses["vsc"] = ITC(ITC.Config())(**joint, batch=batch, gather=lambda x: x)["contrast"]
    itm = ITM(ITM.Config(negatives="mined", scheme="matched_plus_wrong"))
    itm.build(model.fusion.spec)
    itm.double()  # published: 0 is matched; the rows exchanged are the same loss
    Model.load(itm, {"head.weight": z["w_itm_w"].flip(0), "head.bias": z["w_itm_b"].flip(0)})
    losses["itm"] = itm(wrong, batch, matched)["match"]
    wpg = WPG(WPG.Config(rule="pick"))
    wpg.build(model.text.spec)
    phrase = wpg.phrase(matched)
    uniforms = {
        key: torch.zeros(phrase.shape).masked_scatter(phrase, (z[f"in_wpg_pick_{short}"] + 0.5).float() / 3)
        for key, short in (("matched", "pos"), ("wrong", "neg"))
    }
    other = torch.zeros(size, size).scatter(1, z["in_wpg_neg_image"][:, None], 1.0)
    losses["wpg"] = wpg(matched, batch, Given(size, **uniforms, **{"wrong picture": other}), lambda x: x)["grounding"]
    for key, term in losses.items():
        close(value(term), z[f"out_loss_{key}"])
    close(sum(value(term) for term in losses.values()), z["out_loss_total"])
