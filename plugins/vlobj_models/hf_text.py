"""Texts through any Hugging Face encoder whose attention goes through transformers' AttentionInterface."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from transformers import AttentionInterface, AutoModel, PreTrainedConfig, PreTrainedModel

from vlobj_models import hf_asked, hf_config
from vlobj_models.text_weights import FILES, bare, first_position, load
from vlobj_models.weights_files import reason
from vlobjectives import (
    CannotBuild,
    Encoded,
    Encoder,
    FieldSpec,
    MaskSample,
    PartConfig,
    PathOrName,
    RequestedOutputs,
    Spec,
    Tokens,
    Width,
    hub_missing,
    not_none,
)
from vlobjectives.functional.attention import HIDDEN, attention, attention_bias
from vlobjectives.functional.masking import gather_tokens

ATTENTION = "vlobjectives"
TRANSFORM_STD = 0.02  # METER's, as in the vision encoder


def attend(
    module: nn.Module,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    vlobj_maps: bool = False,
    **more: Any,
) -> tuple[Tensor, Tensor | None]:
    """Our attention in the form of transformers' AttentionInterface: q [B,h,N,d] -> ([B,N,h,d], maps or None)."""
    if asked := [key for key in ("softcap", "s_aux") if more.get(key) is not None]:
        raise CannotBuild(f"its attention is not the plain one: {', '.join(asked)}", "model_type: bert, for one")
    if k.shape[1] != q.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    usual = q.shape[-1] ** -0.5
    if scaling is not None and scaling != usual:
        q = q * (scaling / usual)
    out, maps = attention(q, k, v, bias, dropout, vlobj_maps)
    return out.transpose(1, 2).contiguous(), maps


AttentionInterface.register(ATTENTION, attend)


class HFText(Encoder):
    """Text encoder of the transformers library, from a configuration or from weights.

    Tokens [B,L] -> tokens [B,L,D], valid, special, segment; cls [B,1,D] is the first position's.

    ids are `draw.ids` under a mask. Padding is looked at by nobody. Positions count from the start of the sequence
    whatever the ids are (RoBERTa's own count skips padding ids, so that a random replacement would shift all after).
    `causal`: a position sees itself and those before; `cls` is then the last valid position's, which saw all.
    Several fields get token types by their number where the model has that many. `layers[n]` [B,L,hidden] is the
    state after block n (after the final norm for the last), `maps["block{n}"]` [B,heads,L,L].
    """

    class Config(PartConfig):
        config: dict[str, Any] = Field(
            description="the architecture in transformers' words: model_type, hidden_size, "
            "... Vocabulary, padding id and positions are filled in from the fields"
        )
        causal: bool = Field(False, description="positions see only what stands before them")
        out: Width | None = Field(None, description="a linear map to this width at the end (METER's transform)")
        weights: PathOrName | None = Field(None, description="a hub id or a folder of transformers' form to start from")

        def tiny(self) -> "HFText.Config":
            return self.model_copy(
                update={"config": hf_config.tiny(self.config), "out": self.out and 32, "weights": None}
            )

    def __init__(self, config: "HFText.Config", fields: Mapping[str, FieldSpec]):
        super().__init__(config, fields)
        if not fields or any(spec.kind != "tokens" for spec in fields.values()):
            raise self.cannot(f"hf_text reads fields of tokens, not {', '.join(fields) or 'none'}")
        length = sum(spec.shape[0] for spec in fields.values())
        self.module = self._module(fields, length)
        self.first_position = first_position(self.module)
        hidden = self.module.config.hidden_size
        self.out: nn.Module = nn.Identity()
        if config.out:
            self.out = transform = nn.Linear(hidden, config.out)
            nn.init.normal_(transform.weight, std=getattr(self.module.config, "initializer_range", TRANSFORM_STD))
            nn.init.zeros_(transform.bias)
        self.typed = len(fields) > 1 and getattr(self.module.config, "type_vocab_size", 0) >= len(fields)
        table = self.module.get_input_embeddings().weight
        self.spec = Spec(
            width=config.out or hidden,
            length=length,
            fields=dict(fields),
            embedding=next(name for name, own in self.named_parameters() if own is table),
            can=frozenset({"mask", "layers", "maps"} | ({"causal"} if config.causal else set()))
            | (frozenset() if getattr(self.module.config, "layerdrop", 0) else frozenset({"stack"})),
        )

    def _module(self, fields: Mapping[str, FieldSpec], length: int) -> PreTrainedModel:
        vocabulary = max(spec.vocabulary for spec in fields.values())
        special = next(iter(fields.values())).special
        roles = {"pad_token_id": "pad", "bos_token_id": "begin", "eos_token_id": "end"}
        filled: dict[str, int | None] = {
            "vocab_size": vocabulary,
            "max_position_embeddings": length,
            "use_cache": False,
        }
        filled |= {key: special[role] for key, role in roles.items() if role in special}
        for key in ("vocab_size", "pad_token_id"):
            if self.config.config.get(key, filled.get(key)) != filled.get(key):
                raise self.cannot(
                    f"{key}: {self.config.config[key]} is not the fields' {filled.get(key)}",
                    f"leave {key} out: it is taken from the fields",
                )
        written = self.config.config
        enough = length + 1 + special.get("pad", 1)  # wherever positions begin
        sketch = hf_config.make(written, filled | {"max_position_embeddings": enough})
        if sketch.is_encoder_decoder or not hasattr(sketch, "vocab_size"):
            raise self.cannot(f"'{sketch.model_type}' is no encoder of texts alone")
        with torch.device("meta"):
            sketched = self._made(sketch)
        start = first_position(sketched)
        if start > length and "pad_token_id" not in written:
            # More rows for padding ids than for words; positions are given, so the table may begin with the first.
            start, filled["pad_token_id"] = 0, None
        filled["max_position_embeddings"] = length + start
        made = hf_config.make(written, filled)
        if getattr(made, "max_position_embeddings", length + start) < length + start:
            raise self.cannot(
                f"{made.max_position_embeddings} positions do not hold {length} tokens that begin at {start}",
                f"max_position_embeddings: {length + start}, or leave it out",
            )
        window = getattr(made, "local_attention", None) or getattr(made, "sliding_window", None)
        if window and window < 2 * length:
            raise self.cannot(
                f"'{made.model_type}' has blocks that see {window} positions only, fewer than {2 * length}",
                "raise its window",
            )
        module = self._made(made, attn_implementation=ATTENTION, **bare(type(sketched)))
        if not module._supports_attention_backend:
            raise self.cannot(f"'{made.model_type}' computes attention by itself", "model_type: bert, for one")
        if not self.config.causal and (
            any(getattr(part, "is_causal", False) for part in module.modules()) or self._asked_causal()
        ):
            raise self.cannot(f"'{made.model_type}' is a causal model", "causal: true")
        return module

    def _made(self, config: PreTrainedConfig, **how: Any) -> PreTrainedModel:
        try:
            return AutoModel.from_config(config, **how)
        except Exception as error:  # whatever transformers and torch refuse or assert
            raise self.cannot(
                f"transformers refuses the configuration of '{config.model_type}': {reason(error)}",
                "correct what `config` says",
            ) from None

    def _asked_causal(self) -> bool:
        try:
            return hf_asked.causal(json.dumps(self.config.config, sort_keys=True))
        except Exception as error:  # of a model that cannot be made small
            kind = self.config.config["model_type"]
            raise self.cannot(
                f"'{kind}' does not say whether it is causal: {reason(error)}",
                "causal: true, if it is; else another model_type, such as bert",
            ) from None

    def load_weights(self) -> list[str]:
        return load(self.module, self.config.weights, self.config.config) if self.config.weights else []

    def weights_missing(self) -> str:
        weights = self.config.weights
        return super().weights_missing() or (
            hub_missing(weights, FILES) if weights and not Path(weights).exists() else ""
        )

    def forward(self, x: Tokens, draw: MaskSample | None, want: RequestedOutputs) -> Encoded:
        ids = x.ids if draw is None else not_none(draw.ids, "`ids` in the draw of a text")
        count = ids.shape[1]
        bias = attention_bias(x.valid, torch.float32)
        if self.config.causal:
            place = torch.arange(count, device=ids.device)
            bias = bias + torch.where(place[:, None] < place, HIDDEN, 0.0)
        given = {"token_type_ids": x.segment} if self.typed else {}
        start = self.first_position
        result = self.module(
            input_ids=ids,
            attention_mask=bias,
            use_cache=False,
            return_dict=True,
            position_ids=torch.arange(start, start + count, device=ids.device)[None].expand_as(ids),
            output_hidden_states=bool(want.layers),
            output_attentions=want.maps,
            vlobj_maps=want.maps,
            **given,
        )
        tokens = self.out(result.last_hidden_state)
        cls = tokens[:, :1]
        if self.config.causal:
            cls = gather_tokens(tokens, (x.valid.sum(1, keepdim=True) - 1).clamp_min(0))
        return Encoded(
            tokens,
            x.valid,
            cls=cls,
            draw=draw,
            segment=x.segment,
            special=x.special,
            layers={number: result.hidden_states[number + 1] for number in want.layers},
            maps={f"block{number}": seen for number, seen in enumerate(result.attentions)} if want.maps else {},
        )
