"""What a model of transformers does by itself, asked of a small one of its kind with random weights."""

import json
from functools import cache

import torch
from torch import nn
from transformers import AutoModel

from vlobj_models import hf_config

OURS = ("vocab_size", "max_position_embeddings", "pad_token_id", "bos_token_id", "eos_token_id", "use_cache")
WORDS, LENGTH, SPREAD = 16, 6, 0.5


@cache
def causal(written: str) -> bool:
    """Whether a later word leaves all before it as they were; `written`: an architecture in JSON.

    Not every model that masks what comes says so anywhere but in its forward (CLIP's text tower).
    """
    config = hf_config.make(
        hf_config.tiny({key: value for key, value in json.loads(written).items() if key not in OURS}),
        {
            "vocab_size": WORDS,
            "max_position_embeddings": 2 * LENGTH,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "use_cache": False,
        },
    )
    with torch.device("cpu"), torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        model = AutoModel.from_config(config, attn_implementation="eager").double().eval()
        for parameter in model.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=SPREAD)
        ids = torch.arange(3, 3 + LENGTH)[None]
        later = torch.where(torch.arange(LENGTH) == LENGTH - 1, WORDS - 1, ids)
        one, two = (model(input_ids=words, use_cache=False).last_hidden_state[:, :-1] for words in (ids, later))
    return torch.equal(one, two)
