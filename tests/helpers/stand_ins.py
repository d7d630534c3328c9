"""What recipes of published size read, under the names that they write: ten lines of data, and a hub's cache on disk.

Tokenizers and weights have no meaning, but the form, vocabulary and special ids of the real ones. Widths are small
where a recipe can say so; a vision transformer that a name of timm stands for has its real width.
"""

import json
from pathlib import Path

import av
import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import BertConfig, CLIPConfig, PreTrainedTokenizerFast, RobertaConfig, RobertaModel

LINES, SIDE, REVISION = 10, 40, "0" * 40
COLOURS = ("red", "green", "blue")


def data(folder: Path) -> None:
    """Ten pictures, ten clips, and a manifest of each form that a recipe's header names."""
    for name in ("images", "videos", "vinvl"):
        (folder / name).mkdir(parents=True)
    rows = [
        {
            "image": f"{n}.jpg",
            "caption": f"a {COLOURS[n % 3]} dog {n}",
            "split": "train" if n < 6 else "val" if n < 8 else "test",
        }
        for n in range(LINES)
    ]
    for n in range(LINES):
        Image.fromarray(_pixels(n)).save(folder / "images" / f"{n}.jpg")
        _clip(folder / "videos" / f"{n}.mp4", n)
    (folder / "captions.json").write_text(json.dumps(rows), encoding="utf-8")
    karpathy = [
        {
            "filename": row["image"],
            "split": row["split"],
            "imgid": n,
            "sentences": [{"raw": row["caption"], "sentid": n}],
        }
        for n, row in enumerate(rows)
    ]
    (folder / "dataset_flickr8k.json").write_text(json.dumps({"images": karpathy}), encoding="utf-8")
    clips = [{"clip": f"{n}.mp4", **{key: row[key] for key in ("caption", "split")}} for n, row in enumerate(rows)]
    (folder / "clips.json").write_text(json.dumps(clips), encoding="utf-8")
    (folder / "webvid.csv").write_text(
        "videoid,page_dir,name\n" + "".join(f"{n},,{row['caption']}\n" for n, row in enumerate(rows)), encoding="utf-8"
    )
    lines = [
        row | {"tags": ["dog", "ball"], "phrases": [["dog"], ["disc", "red"]], "regions": f"vinvl.safetensors#{n}"}
        for n, row in enumerate(rows)
    ]
    (folder / "captions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    save_file({str(n): torch.rand(4 + n, 2054) for n in range(LINES)}, folder / "vinvl" / "vinvl.safetensors")
    (folder / "phrases.json").write_text(json.dumps({"30522": ["dog"], "30523": ["disc", "red"]}), encoding="utf-8")


def hub(cache: Path) -> None:
    """What was fetched from a hub, in the layout of its cache (HF_HUB_CACHE)."""
    roberta = _repository(cache, "FacebookAI/roberta-base")
    _tokenizer(
        roberta,
        50265,
        {
            "bos_token": (0, "<s>"),
            "pad_token": (1, "<pad>"),
            "eos_token": (2, "</s>"),
            "unk_token": (3, "<unk>"),
            "mask_token": (50264, "<mask>"),
        },
    )
    RobertaModel(
        RobertaConfig(
            vocab_size=50265,
            max_position_embeddings=514,
            type_vocab_size=1,
            hidden_size=48,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=96,
            layer_norm_eps=1e-5,
        )
    ).save_pretrained(roberta)
    bert = _repository(cache, "google-bert/bert-base-uncased")
    clip = _repository(cache, "openai/clip-vit-base-patch32")
    BertConfig().save_pretrained(bert)
    CLIPConfig().save_pretrained(clip)
    _tokenizer(
        bert,
        30522,
        {
            "pad_token": (0, "[PAD]"),
            "unk_token": (100, "[UNK]"),
            "cls_token": (101, "[CLS]"),
            "sep_token": (102, "[SEP]"),
            "mask_token": (103, "[MASK]"),
        },
    )
    end = (49407, "<|endoftext|>")
    _tokenizer(
        clip, 49408, {"bos_token": (49406, "<|startoftext|>"), "eos_token": end, "pad_token": end, "unk_token": end}
    )
    name = "vit_base_patch16_clip_quickgelu_224.openai"
    vision = _repository(cache, timm.get_pretrained_cfg(name).hf_hub_id)
    state = timm.create_model(name, num_classes=512).state_dict()
    for file in ("model.safetensors", "open_clip_model.safetensors"):
        save_file(state, vision / file)


def _repository(cache: Path, name: str) -> Path:
    place = cache / f"models--{name.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(REVISION, encoding="utf-8")
    (place / "snapshots" / REVISION).mkdir(parents=True)
    return place / "snapshots" / REVISION


def _tokenizer(folder: Path, size: int, special: dict[str, tuple[int, str]]) -> None:
    """A fast tokenizer of single bytes, filled up to this many entries, with these special ids."""
    taken = {number: token for number, token in special.values()}
    free = (number for number in range(size) if number not in taken)
    vocabulary = {token: number for number, token in taken.items()}
    vocabulary |= {letter: next(free) for letter in sorted(pre_tokenizers.ByteLevel.alphabet())}
    vocabulary |= {f"filler{number}": number for number in free}
    made = Tokenizer(models.BPE(vocabulary, [], unk_token=special["unk_token"][1]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    tokens = {role: token for role, (_, token) in special.items()}
    PreTrainedTokenizerFast(tokenizer_object=made, **tokens).save_pretrained(folder)


def _pixels(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), np.uint8)


def _clip(path: Path, seed: int) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 48
        for _ in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((48, 48, 3), 20 * seed, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode())
